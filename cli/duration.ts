const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** Parses `90s`, `30m`, `24h` or `7d` into seconds; null for anything else. */
export function parseDuration(text: string): number | null {
  const match = /^([1-9]\d{0,6})([smhd])$/.exec(text.trim());
  return match === null ? null : Number(match[1]) * SECONDS[match[2] as keyof typeof SECONDS];
}
