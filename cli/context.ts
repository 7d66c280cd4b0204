import type { Pipeline } from '../projectors/pipeline.ts';
import type { Config } from '../runtime/config.ts';
import type { CrosswalkError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';

/** What every command is given. A command returns false where it found something wrong, and throws where it could not run. */
export interface CommandContext {
  readonly pipeline: Pipeline;
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The environment alone, without what a running stack wrote about itself. */
  readonly ownEnv: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Ends the process at once, as a crash would, with this as its last line. */
  readonly giveUp: (error: CrosswalkError) => void;
  /** Raised by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Whether people look at standard output as it comes: progress may redraw its line. */
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
