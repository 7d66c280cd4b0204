import { type Command, Option } from 'commander';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

const ofProjection = () => new Option('--projection <name>', 'only dead letters of this projection');
const withReason = () => new Option('--reason <text>', 'only dead letters whose reason contains this text');

/** Declares the commands for dead letters. */
export function declareDeadLetters(program: Command, run: Run): void {
  const dlq = program.command('dlq').description('dead letters: changes that a projection could not apply');
  dlq
    .command('list')
    .addOption(ofProjection())
    .addOption(withReason())
    .option('--all', 'include resolved dead letters')
    .option('--limit <rows>', 'maximum dead letters to print', positiveInteger, 50)
    .addOption(json)
    .description('list dead letters with reason and place; also rows that are too large for the log')
    .action((options: { projection?: string; reason?: string; all?: boolean; limit: number; json?: boolean }) =>
      run('dlq list', async (context) => (await import('../commands/dlq.ts')).list(context, options)),
    );
  dlq
    .command('show')
    .argument('<id...>', 'an id printed by `dlq list`, or a projection and topic/partition@offset')
    .option('--values', 'print the cell values')
    .addOption(json)
    .description('show one dead letter in detail')
    .action((ids: string[], options: { values?: boolean; json?: boolean }) =>
      run('dlq show', async (context) => (await import('../commands/dlq.ts')).show(context, ids, options)),
    );
  dlq
    .command('redrive')
    .argument('[ids...]', 'ids printed by `dlq list`')
    .addOption(ofProjection())
    .addOption(withReason())
    .option('--all', 'every open dead letter')
    .option('--dry-run', 'apply, report the result, and roll back')
    .addOption(json)
    .description('apply dead letters again, once their cause is gone; exit code 1 if some remain')
    .action((ids: string[], options: { projection?: string; reason?: string; all?: boolean; dryRun?: boolean }) =>
      run('dlq redrive', async (context) => (await import('../commands/dlq.ts')).redrive(context, ids, options)),
    );
  dlq
    .command('discard')
    .argument('[ids...]', 'ids printed by `dlq list`')
    .addOption(ofProjection())
    .option('--matching <text>', 'only dead letters whose reason contains this text')
    .option('--all', 'every open dead letter')
    .requiredOption('--reason <why>', 'why these changes may be omitted for good; stored with them')
    .option('--dry-run', 'list what would be discarded')
    .option('--yes', 'discard without confirmation')
    .addOption(json)
    .description('settle dead letters without applying them')
    .action(
      (
        ids: string[],
        options: {
          projection?: string;
          matching?: string;
          all?: boolean;
          reason: string;
          dryRun?: boolean;
          yes?: boolean;
          json?: boolean;
        },
      ) => run('dlq discard', async (context) => (await import('../commands/dlq.ts')).discard(context, ids, options)),
    );
}
