import type { Random } from '../random.ts';

const DAY_US = 86_400_000_000;

/** A date, `2025-03-04`, from days since 1970-01-01 (proleptic Gregorian calendar, years 0 to 9999). */
export function dateText(day: number): string {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const dayOfMonth = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return `${String(year).padStart(4, '0')}-${pad(month)}-${pad(dayOfMonth)}`;
}

/** A UTC timestamptz as PostgreSQL prints it, without trailing zeros in the fraction, from microseconds since 1970. */
export function timeText(us: number): string {
  const ofDay = ((us % DAY_US) + DAY_US) % DAY_US;
  const seconds = Math.floor(ofDay / 1_000_000);
  const fraction = String(ofDay % 1_000_000)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const clock = `${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
  return `${dateText(Math.floor(us / DAY_US))} ${clock}${fraction === '' ? '' : `.${fraction}`}+00`;
}

/** Microseconds since 1970 within `days` days from a first day; sometimes whole seconds, as imports leave them. */
export function randomTimeUs(random: Random, firstDay: number, days: number): number {
  const us = firstDay * DAY_US + Math.floor(random.fraction() * days * 86_400) * 1_000_000;
  return random.chance(0.05) ? us : us + random.int(1, 999_999);
}

/** A moment up to `days` days after another, in microseconds. */
export function laterUs(random: Random, us: number, days: number): number {
  return us + Math.floor(random.fraction() * days * 86_400) * 1_000_000 + random.int(0, 999_999);
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
