import { requestResnapshot } from '../../connectors/resnapshot.ts';
import { type CommandContext, print } from '../context.ts';

/** Has tables read again, or accepts what changed without that. */
export async function resnapshot(
  { config, log, signal }: CommandContext,
  tables: readonly string[],
  options: { accept?: boolean },
): Promise<boolean> {
  const done = await requestResnapshot(config, { tables, accept: options.accept === true, log, signal });
  for (const { table, what } of done.changes) print(`${table}: ${what}`);
  if (done.tables.length === 0) print('nothing changed without an event; name the tables to read again');
  else if (options.accept) print(`accepted, nothing is read again: ${done.tables.join(', ')}`);
  else print(`the connector reads again: ${done.tables.join(', ')}; start it with \`crosswalk connect\``);
  return true;
}
