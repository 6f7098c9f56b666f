// ESLint over the tablet app and the scripts of the pages. The layout of the code is not its business.

import js from "@eslint/js";
import globals from "globals";

// eqeqeq: `== null` means null or undefined.
export default [
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2022, globals: globals.browser },
    rules: {
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-unused-vars": "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-implied-eval": "error",
      "no-eval": "error",
      "no-self-compare": "error",
      "no-template-curly-in-string": "error",
      "no-promise-executor-return": "error",
      "no-unreachable-loop": "error",
      "default-case-last": "error",
      "array-callback-return": "error",
      "no-restricted-properties": ["error", { property: "innerHTML" }, { property: "outerHTML" }],
    },
  },
  { files: ["**/browser.js"], languageOptions: { ecmaVersion: 5, sourceType: "script" }, rules: { "no-var": "off" } },
  { files: ["**/sw.js"], languageOptions: { sourceType: "script", globals: globals.serviceworker } },
];
