import pino from 'pino';

export type Log = pino.Logger;

/** JSON lines on standard error, so that standard output belongs to the command. Log keys, counts and positions; never a cell value or an address with its password. */
export function createLog(level: string, bindings: Readonly<Record<string, string>> = {}): Log {
  return pino(
    {
      level,
      base: bindings,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
