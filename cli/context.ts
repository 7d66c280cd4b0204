import type { Pipeline } from '../projectors/pipeline.ts';
import type { Config } from '../runtime/config.ts';
import type { CrosswalkError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';

/** Context of every command. A command returns false if it found a problem, and throws if it could not run. */
export interface CommandContext {
  readonly pipeline: Pipeline;
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The process environment alone, without what a running stack wrote to its file. */
  readonly ownEnv: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Ends the process immediately, as a crash would, with this error as its last line. */
  readonly giveUp: (error: CrosswalkError) => void;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Whether standard output is a terminal, so that progress may redraw its line. */
  readonly isTerminal: boolean;
}

/** Prints a line on standard output. */
export function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** Prints a value as one JSON document; bigint as text. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item), 2));
}
