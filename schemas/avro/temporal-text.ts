/**
 * Converts PostgreSQL's text of dates and times (DateStyle ISO, TimeZone UTC) to ISO 8601 and back. Only plain forms
 * are rewritten; infinity, years BC or after 9999 and 24:00:00 have no such form, keep PostgreSQL's text, and are
 * returned unchanged, since no ISO form looks like them. Fraction digits are kept.
 */
const DASH = 0x2d;
const SPACE = 0x20;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;

/** Whether a timestamptz is plain: `2025-01-01 08:00:00.12+00` ↔ `2025-01-01T08:00:00.12Z` */
export function isPlainTimestamptz(text: string): boolean {
  const { length } = text;
  return (
    length >= 22 &&
    length <= 29 &&
    text.charCodeAt(4) === DASH &&
    text.charCodeAt(10) === SPACE &&
    text.charCodeAt(length - 3) === 0x2b &&
    text.charCodeAt(length - 2) === 0x30 &&
    text.charCodeAt(length - 1) === 0x30
  );
}

export function isoToTimestamptz(iso: string): string {
  if (iso.charCodeAt(10) !== LETTER_T || !endsWithZ(iso)) return iso;
  return `${iso.slice(0, 10)} ${iso.slice(11, -1)}+00`;
}

/** Whether a timestamp is plain: `2025-01-01 08:00:00.12` ↔ `2025-01-01T08:00:00.12Z` */
export function isPlainTimestamp(text: string): boolean {
  const { length } = text;
  return (
    length >= 19 &&
    length <= 26 &&
    text.charCodeAt(4) === DASH &&
    text.charCodeAt(10) === SPACE &&
    text.charCodeAt(length - 1) <= 0x39
  );
}

export function isoToTimestamp(iso: string): string {
  if (iso.charCodeAt(10) !== LETTER_T || !endsWithZ(iso)) return iso;
  return `${iso.slice(0, 10)} ${iso.slice(11, -1)}`;
}

/** `2025-01-01` → `2025-01-01Z` */
export function dateToIso(text: string): string {
  return text.length === 10 && text.charCodeAt(4) === DASH ? `${text}Z` : text;
}

export function isoToDate(iso: string): string {
  return endsWithZ(iso) ? iso.slice(0, -1) : iso;
}

/** `14:30:00.5` → `14:30:00.5Z` */
export function timeToIso(text: string): string {
  return text.startsWith('24') ? text : `${text}Z`;
}

export function isoToTime(iso: string): string {
  return endsWithZ(iso) ? iso.slice(0, -1) : iso;
}

const ZONED = /^([0-9:.]+)([+-][0-9]{2})((?::[0-9]{2}){0,2})$/;

/** `14:30:00+00` → `14:30:00Z`, `14:30:00+02` → `14:30:00+02:00`; `14:30:00+05:30` is unchanged */
export function timetzToIso(text: string): string {
  const match = ZONED.exec(text);
  if (match === null || text.startsWith('24') || match[3] !== '') return text;
  return match[2] === '+00' ? `${match[1]}Z` : `${text}:00`;
}

export function isoToTimetz(iso: string): string {
  if (endsWithZ(iso)) return `${iso.slice(0, -1)}+00`;
  const match = ZONED.exec(iso);
  return match !== null && match[3] === ':00' ? iso.slice(0, -3) : iso;
}

function endsWithZ(iso: string): boolean {
  return iso.charCodeAt(iso.length - 1) === LETTER_Z;
}
