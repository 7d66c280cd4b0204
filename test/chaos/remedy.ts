/** Tables that a connector which ended asks to read again; null where its line asks for something else. */
export function parseRemedy(stderr: string): readonly string[] | null {
  const line = stderr.match(/^crosswalk connect: .*$/gm)?.at(-1) ?? '';
  const command = /\b[Rr]un `crosswalk resnapshot ((?:[a-z_][a-z0-9_]* ?)+)`/.exec(line);
  return command === null ? null : command[1]!.trim().split(/ +/);
}

/** Tables that a resnapshot will have read again, by what it prints. */
export function parseReread(stdout: string): readonly string[] {
  return /^the connector will reread: ([^;]+);/m.exec(stdout)?.[1]?.split(', ') ?? [];
}
