import { CrosswalkError } from '../../../runtime/errors.ts';
import { type DdlItem, type ItemKind, itemKinds } from './item.ts';

/** An object and one that it depends on, by address. */
export type Dependency = readonly [address: string, on: string];

const rank = new Map(itemKinds.map((kind, at) => [kind, at]));

/**
 * Splits items into those that must exist before rows are loaded (tables and their dependencies, and whatever rows may
 * name) and the rest. Each part is sorted so that every item follows its dependencies, otherwise by kind and name.
 * Throws `backup_invalid` for circular dependencies.
 */
export function orderItems(
  items: readonly DdlItem[],
  dependencies: readonly Dependency[],
): { before: DdlItem[]; after: DdlItem[] } {
  const idOf = new Map(items.flatMap(({ id, aliases }) => [id, ...aliases].map((address) => [address, id] as const)));
  const needs = new Map<string, Set<string>>(items.map(({ id }) => [id, new Set()]));
  const need = (item: string | undefined, on: string | undefined) => {
    if (item !== undefined && on !== undefined && item !== on) needs.get(item)!.add(on);
  };
  for (const [address, on] of dependencies) need(idOf.get(address), idOf.get(on));
  for (const { id, after } of items) for (const on of after) need(id, idOf.get(on));
  const sorted = sort(items, needs);
  const kindOf = new Map(items.map(({ id, kind }) => [id, kind]));
  const isBefore = new Set<string>();
  for (const { id, kind } of items) {
    const needed = closureOf(id, needs);
    // Rows can name functions and views (regprocedure, regclass). One that needs a key has to wait: building a key is
    // faster once the rows are loaded.
    if (
      FIRST.has(kind) ||
      (EARLY.has(kind) && [...needed].every((on) => FIRST.has(kindOf.get(on)!) || EARLY.has(kindOf.get(on)!)))
    )
      for (const on of needed) isBefore.add(on);
  }
  return { before: sorted.filter(({ id }) => isBefore.has(id)), after: sorted.filter(({ id }) => !isBefore.has(id)) };
}

/** Kinds needed for loading rows. */
const FIRST: ReadonlySet<ItemKind> = new Set(['schema', 'extension', 'type', 'sequence', 'table', 'partition']);
const EARLY: ReadonlySet<ItemKind> = new Set(['routine', 'view', 'materialized view']);

/** An item and all of its dependencies, transitively. */
function closureOf(id: string, needs: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const closure = new Set([id]);
  for (const one of closure) for (const on of needs.get(one)!) closure.add(on);
  return closure;
}

function sort(items: readonly DdlItem[], needs: ReadonlyMap<string, ReadonlySet<string>>): DdlItem[] {
  const waiting = [...items].sort(
    (a, b) => rank.get(a.kind)! - rank.get(b.kind)! || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  const done = new Set<string>();
  const sorted: DdlItem[] = [];
  while (waiting.length > 0) {
    const at = waiting.findIndex(({ id }) => [...needs.get(id)!].every((on) => done.has(on)));
    if (at < 0)
      throw new CrosswalkError(
        'backup_invalid.circle',
        `These depend on each other in a circle: ${waiting
          .slice(0, 5)
          .map(({ kind, name }) => `${kind} ${name}`)
          .join(', ')}`,
      );
    const [item] = waiting.splice(at, 1);
    done.add(item!.id);
    sorted.push(item!);
  }
  return sorted;
}
