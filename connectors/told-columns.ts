import type { ToldColumns } from './position.ts';

/**
 * The columns of a table's events once they are `names`. `back`: columns that earlier events had and the last ones
 * lacked. Rows written in between have no cell under these names in the log, although the table has one; nothing else
 * reveals this, since a column renamed back and forth looks unchanged in the catalog. `moved`: columns that cannot be
 * those that had their names before. A renamed column keeps its position, a dropped one leaves no gap, and a new one is
 * the last.
 */
export function tellColumns(
  before: ToldColumns | undefined,
  names: readonly string[],
): { told: ToldColumns; back: readonly string[]; moved: readonly string[] } {
  if (before === undefined) return { told: { now: names, gone: [] }, back: [], moved: [] };
  const back = names.filter((name) => before.gone.includes(name));
  const gone = new Set([...before.gone, ...before.now].filter((name) => !names.includes(name)));
  return { told: { now: names, gone: [...gone] }, back, moved: findMoved(before.now, names) };
}

/** Names that come after other columns than before, or after more of them. */
function findMoved(before: readonly string[], names: readonly string[]): string[] {
  const moved: string[] = [];
  let last = { before: -1, now: -1 };
  for (const [now, name] of names.entries()) {
    const place = before.indexOf(name);
    if (place === -1) continue;
    if (now > place || place < last.before || now - last.now > place - last.before) moved.push(name);
    last = { before: Math.max(place, last.before), now };
  }
  return moved;
}
