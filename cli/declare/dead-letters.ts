import { type Command, Option } from 'commander';
import { json, positiveInteger } from './options.ts';
import type { Run } from './run.ts';

const ofProjection = () => new Option('--projection <name>', 'of one projection');
const withReason = () => new Option('--reason <text>', 'whose reason contains this');

/** Declares dead letters. */
export function declareDeadLetters(program: Command, run: Run): void {
  const dlq = program.command('dlq').description('dead letters: changes that a projection could not apply');
  dlq
    .command('list')
    .addOption(ofProjection())
    .addOption(withReason())
    .option('--all', 'resolved ones too')
    .option('--limit <rows>', 'dead letters to print', positiveInteger, 50)
    .addOption(json)
    .description('what failed, why and where; also rows that are too large for the log')
    .action((options: { projection?: string; reason?: string; all?: boolean; limit: number; json?: boolean }) =>
      run('dlq list', async (context) => (await import('../commands/dlq.ts')).list(context, options)),
    );
  dlq
    .command('show')
    .argument('<id...>', 'an id as `dlq list` prints it, or a projection and topic/partition@offset')
    .option('--values', 'print the cell values')
    .addOption(json)
    .description('one dead letter')
    .action((ids: string[], options: { values?: boolean; json?: boolean }) =>
      run('dlq show', async (context) => (await import('../commands/dlq.ts')).show(context, ids, options)),
    );
  dlq
    .command('redrive')
    .argument('[ids...]', 'as `dlq list` prints them')
    .addOption(ofProjection())
    .addOption(withReason())
    .option('--all', 'every open one')
    .option('--dry-run', 'do it, tell, and undo it')
    .addOption(json)
    .description('apply again what failed, once its cause is gone; exit code 1 where some stay')
    .action((ids: string[], options: { projection?: string; reason?: string; all?: boolean; dryRun?: boolean }) =>
      run('dlq redrive', async (context) => (await import('../commands/dlq.ts')).redrive(context, ids, options)),
    );
  dlq
    .command('discard')
    .argument('[ids...]', 'as `dlq list` prints them')
    .addOption(ofProjection())
    .option('--matching <text>', 'whose reason contains this')
    .option('--all', 'every open one')
    .requiredOption('--reason <why>', 'why these changes may be left out for good; kept with them')
    .option('--dry-run', 'tell what would be discarded')
    .option('--yes', 'do it without asking')
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
