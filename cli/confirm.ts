import { createInterface } from 'node:readline/promises';
import { CrosswalkError } from '../runtime/errors.ts';
import type { CommandContext } from './context.ts';

/** Asks on a terminal. Ctrl-C and Ctrl-D count as no. Throws `config_invalid` if there is no terminal to ask on. */
export async function confirm(
  { isTerminal, signal }: Pick<CommandContext, 'isTerminal' | 'signal'>,
  question: string,
): Promise<boolean> {
  if (!isTerminal || process.stdin.isTTY !== true)
    throw new CrosswalkError('config_invalid.unconfirmed', question, { consequence: 'do it' });
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `, { signal })).trim());
  } catch (error) {
    if (signal.aborted || (error as { name?: unknown }).name !== 'AbortError') throw error;
    process.stdout.write('\n');
    return false;
  } finally {
    terminal.close();
  }
}
