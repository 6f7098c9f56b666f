/**
 * Texts that are said later, in the language chosen by then. The growth modules know no language: they give texts like these, and
 * `message` of words/words.js writes them out.
 */

/**
 * An English text of the catalogue (docs/tablet.md, Words); `values` has what stands in its {placeholders}, which may be words too;
 * `context` tells it from the same English text with another meaning.
 * @typedef {{text: string, values?: Object<string, any>, context?: string}} Text
 */

/**
 * A text to be said later.
 * @param {string} text in English
 * @param {Object<string, any>} [values]
 * @returns {Text}
 */
export const later = (text, values) => ({ text, values });

/**
 * The same, where one English text has several meanings.
 * @param {string} context
 * @param {string} text
 * @param {Object<string, any>} [values]
 * @returns {Text}
 */
export const laterIn = (context, text, values) => ({ text, values, context });
