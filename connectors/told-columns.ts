import type { ToldColumns } from './position.ts';

/**
 * The columns of a table's events once they are `names`. `back`: columns that earlier events had and the last ones lacked. Rows that were written in between have no cell under
 * these names in the log, although the table has one; no other sign tells, since a column that is renamed there and back is the same to the catalog.
 */
export function tellColumns(
  before: ToldColumns | undefined,
  names: readonly string[],
): { told: ToldColumns; back: readonly string[] } {
  if (before === undefined) return { told: { now: names, gone: [] }, back: [] };
  const back = names.filter((name) => before.gone.includes(name));
  const gone = new Set([...before.gone, ...before.now].filter((name) => !names.includes(name)));
  return { told: { now: names, gone: [...gone] }, back };
}
