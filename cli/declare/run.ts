import type { CommandContext } from '../context.ts';

/** Runs a command, given the name that users type, with its context; sets the exit code. */
export type Run = (name: string, work: (context: CommandContext) => Promise<boolean>) => Promise<void>;
