import type { CommandContext } from '../context.ts';

/** Runs a command by its name, as people type it, with its context; sets the exit code. */
export type Run = (name: string, work: (context: CommandContext) => Promise<boolean>) => Promise<void>;
