/**
 * Civil dates as ISO text ("2026-11-03"): days between them, calendar months, completed months of age.
 *
 * No Date in local time is used, as the tablet's time zone could shift a day.
 */

const DAY_MS = 86400000;

/**
 * Count the days since 1970-01-01.
 * @param {string} on
 * @returns {number} whole days
 */
export function dayNumber(on) {
  return Date.parse(`${on}T00:00:00Z`) / DAY_MS;
}

/**
 * Number the calendar month of a date: neighbours differ by 1.
 * @param {string} on
 * @returns {number}
 */
export function monthNumber(on) {
  return Number(on.slice(0, 4)) * 12 + Number(on.slice(5, 7)) - 1;
}

/**
 * Give the age in days at a date.
 * @param {string|null} born_on
 * @param {string} on
 * @returns {number|null} null where the birth date is unknown or later
 */
export function ageDays(born_on, on) {
  const days = born_on ? dayNumber(on) - dayNumber(born_on) : -1;
  return days < 0 ? null : days;
}

/**
 * Count completed calendar months of age (umur bulan penuh). A month is complete on the day of the month of the birth, or on
 * its last day where it has no such day: born on 31 January, one month old on 28 February.
 * @param {string|null} born_on
 * @param {string} on
 * @returns {number|null} negative before birth; null where the birth date is unknown
 */
export function monthsCompleted(born_on, on) {
  if (!born_on) return null;
  const [year, month] = [Number(on.slice(0, 4)), Number(on.slice(5, 7))];
  const daysInMonth = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const birthday = Math.min(Number(born_on.slice(8)), daysInMonth);
  return monthNumber(on) - monthNumber(born_on) - (Number(on.slice(8)) < birthday ? 1 : 0);
}
