/** Numbers with a decimal comma in Indonesian and a decimal point in English, without zeros at the end. */

/**
 * @param {number} weight_g
 * @returns {import('./tables.js').Words} "9,5 kg"
 */
export function kg(weight_g) {
  return withUnit(weight_g / 1000, "kg");
}

/**
 * @param {number} mm
 * @returns {import('./tables.js').Words} "74,5 cm"
 */
export function cm(mm) {
  return withUnit(mm / 10, "cm");
}

/**
 * Write a number without a unit, at most three decimals.
 * @param {number} value
 * @returns {import('./tables.js').Words}
 */
export function decimal(value) {
  const en = String(Math.round(value * 1000) / 1000);
  return { id: en.replace(".", ","), en };
}

function withUnit(value, unit) {
  const { id, en } = decimal(value);
  return { id: `${id} ${unit}`, en: `${en} ${unit}` };
}
