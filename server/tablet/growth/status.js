/**
 * The status of a score, as a code: classes of Permenkes 2/2020 and of the arm circumference, and the lines of the KMS.
 *
 * The rounded score is classified: -2.00 is normal, -3.00 is in the milder class, and an upper cut-off belongs to the class
 * below it. Without a score the status is null, never "normal". Oedema of both feet is gizi buruk whatever the score.
 */

/** Cut-offs by index: a class begins at each value of `from` (inclusive) and above each value of `above` (exclusive). */
const CUT_OFFS = {
  haz: { from: [-3, -2], above: [3] },
  waz: { from: [-3, -2], above: [1] },
  whz: { from: [-3, -2], above: [1, 2, 3] },
  baz: { from: [-3, -2], above: [1, 2, 3] },
};
export const MUAC_SEVERE_BELOW_MM = 115;
export const MUAC_MODERATE_BELOW_MM = 125;

/**
 * Classify a rounded score.
 * @param {import('./tables.js').Tables} tables
 * @param {'haz'|'waz'|'whz'|'baz'} index
 * @param {number|null} z
 * @param {boolean} [oedema] counts for whz and baz
 * @returns {string|null} one of `tables.codes[index]`
 */
export function statusOf(tables, index, z, oedema = false) {
  const codes = tables.codes[index];
  if (oedema && (index === "whz" || index === "baz")) return codes[0];
  if (z === null) return null;
  const { from, above } = CUT_OFFS[index];
  return codes[from.filter((limit) => z >= limit).length + above.filter((limit) => z > limit).length];
}

/**
 * Classify the mid-upper arm circumference (LiLA), whose classes hold from 6 to 59 completed months.
 * @param {import('./tables.js').Tables} tables
 * @param {number|null} muac_mm
 * @param {number|null} age_months completed calendar months
 * @returns {string|null} one of `tables.codes.muac`
 */
export function muacStatus(tables, muac_mm, age_months) {
  if (!muac_mm || muac_mm < 0 || age_months === null || age_months < 6 || age_months > 59) return null;
  return tables.codes.muac[[MUAC_SEVERE_BELOW_MM, MUAC_MODERATE_BELOW_MM].filter((limit) => muac_mm >= limit).length];
}
