/**
 * The tables and words that the server hands out (`/tablet-app/growth.json`), unpacked once at start.
 *
 * Columns are sent as second differences of whole numbers. Two running sums and one division give the doubles nearest to the
 * published decimals, the same ones that the server computes with.
 */

/**
 * Words in both languages.
 * @typedef {{id: string, en: string}} Words
 */

/**
 * One WHO table of one sex: row `i` is day `first + i`, or 0.1 cm step `first + i`.
 * @typedef {object} Lms
 * @property {number} first
 * @property {Float64Array} l power
 * @property {Float64Array} m median: cm (lhfa, hcfa, acfa), kg (wfa, wfl, wfh) or kg/m2 (bfa)
 * @property {Float64Array} s coefficient of variation
 */

/**
 * All tables and words of the growth modules.
 * @typedef {object} Tables
 * @property {string} engine version of the rules, as the server has it
 * @property {string} kbm_version
 * @property {Object<string, {M: Lms, F: Lms}>} lms lhfa, wfa, bfa, hcfa, acfa, wfl, wfh
 * @property {{M: number[], F: number[]}} kbm grams for completed months 0 to 60; 0 where there is no KBM
 * @property {number[]} length_spread_mm by completed month of age: how much faster than the median a length may grow in three months
 * @property {Object<string, string[]>} codes status codes by index (haz, waz, whz, baz, muac), the lowest class first
 * @property {Object<string, Words>} labels words of the status codes
 * @property {Object<string, Object<string, Words>>} sentences what a status means, by index and code
 * @property {Object<string, Words>} reasons why a score is undefined
 * @property {Object<string, Words>} gain_reasons why a weighing has its N/T/O/B code
 * @property {Object<string, {urgency: 1|2|3|4, id: string, en: string}>} rules reasons to look at a child, most urgent first
 * @property {Object<string, [number, number]>} ranges least and greatest value a record may hold: weight_g, length_mm, ...
 * @property {Words} note stands beside every status: a screening result, no diagnosis
 * @property {import('./schedule.js').Schedule} schedule what children are to be given and when
 */

/**
 * Unpack the file.
 * @param {any} json the parsed file
 * @returns {Tables}
 * @throws {Error} if it is not a growth file
 */
export function readTables(json) {
  if (!json || !json.lms || !json.kbm || !json.rules) throw new Error("not a growth file: lms, kbm or rules missing");
  const lms = {};
  for (const [name, packed] of Object.entries(json.lms)) {
    lms[name] = { M: unpacked(packed.M, packed.first, json.scales), F: unpacked(packed.F, packed.first, json.scales) };
  }
  return { ...json, lms };
}

/**
 * Find the row of a day or step, or -1 where the standard publishes none: never the nearest row.
 * @param {Lms} table
 * @param {number} key whole days, or steps of 0.1 cm
 * @returns {number}
 */
export function rowOf(table, key) {
  const row = key - table.first;
  return row >= 0 && row < table.m.length ? row : -1;
}

function unpacked(columns, first, scales) {
  const column = (name) => summed(columns[name], scales[name]);
  return { first, l: column("l"), m: column("m"), s: column("s") };
}

function summed(secondDifferences, scale) {
  const values = new Float64Array(secondDifferences.length);
  let difference = 0;
  let value = 0;
  secondDifferences.forEach((step, row) => {
    difference += step;
    value += difference;
    values[row] = value / scale;
  });
  return values;
}
