import { requestResnapshot } from '../../connectors/resnapshot.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { confirm } from '../confirm.ts';
import { type CommandContext, print } from '../context.ts';

export interface ResnapshotOptions {
  readonly accept?: boolean;
  readonly skip?: boolean;
  readonly yes?: boolean;
}

/** Requests that tables be read again, or accepts their changes without that. */
export async function resnapshot(
  context: CommandContext,
  tables: readonly string[],
  options: ResnapshotOptions,
): Promise<boolean> {
  const { config, log, signal } = context;
  const { accept = false, skip = false } = options;
  if (skip && tables.length > 0)
    throw new CrosswalkError('config_invalid.argument_excess', '--skip reads every table again', {
      argument: 'the names of tables',
    });
  const question = `Skip every committed change that is not in the log yet, and reread all ${config.tables.length} tables?`;
  if (skip && options.yes !== true && !(await confirm(context, question))) return false;
  const done = await requestResnapshot(config, { tables, accept, skip, log, signal });
  for (const { table, what } of done.changes) print(`${table}: ${what}`);
  if (skip)
    print(
      'changes so far are skipped, and the connector will reread every table: start it with `crosswalk connect`. For rows that were deleted meanwhile, run `crosswalk verify --repair`',
    );
  else if (done.tables.length === 0) print('nothing changed without an event; name the tables to reread');
  else if (options.accept) print(`accepted, nothing will be reread: ${done.tables.join(', ')}`);
  else print(`the connector will reread: ${done.tables.join(', ')}; start it with \`crosswalk connect\``);
  return true;
}
