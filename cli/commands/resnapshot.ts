import { requestResnapshot } from '../../connectors/resnapshot.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { confirm } from '../confirm.ts';
import { type CommandContext, print } from '../context.ts';

export interface ResnapshotOptions {
  readonly accept?: boolean;
  readonly skip?: boolean;
  readonly yes?: boolean;
}

/** Has tables read again, or accepts what changed without that. */
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
  const question = `Pass over every change that is committed and not in the log yet, and read all ${config.tables.length} tables again?`;
  if (skip && options.yes !== true && !(await confirm(context, question))) return false;
  const done = await requestResnapshot(config, { tables, accept, skip, log, signal });
  for (const { table, what } of done.changes) print(`${table}: ${what}`);
  if (skip)
    print(
      'changes by now are passed over, and the connector reads every table again: start it with `crosswalk connect`. Rows that were deleted meanwhile: `crosswalk verify --repair`',
    );
  else if (done.tables.length === 0) print('nothing changed without an event; name the tables to read again');
  else if (options.accept) print(`accepted, nothing is read again: ${done.tables.join(', ')}`);
  else print(`the connector reads again: ${done.tables.join(', ')}; start it with \`crosswalk connect\``);
  return true;
}
