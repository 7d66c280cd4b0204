/** Formats bytes: `512 B`, `3.4 MB`. */
export function toBytesText(bytes: bigint): string {
  const units = ['kB', 'MB', 'GB', 'TB'];
  if (bytes < 1000n) return `${bytes} B`;
  let value = Number(bytes) / 1000;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** Formats seconds: `0.4 s`, `42 s`, `3 m 05 s`, `2 h 10 m`. */
export function toDurationText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (count: number) => String(count).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} m`;
}

/** Formats a count with thousands separators: `1,234,567`. */
export function toCountText(count: number | bigint): string {
  return String(typeof count === 'bigint' ? count : Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Formats rows as aligned columns, two spaces apart; `right`: columns of numbers. */
export function toTableLines(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  return rows.map((row) =>
    row
      .map((cell, at) => (right.includes(at) ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!)))
      .join('  ')
      .trimEnd(),
  );
}
