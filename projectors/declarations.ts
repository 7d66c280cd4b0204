import { CrosswalkError } from '../runtime/errors.ts';
import type { Projection } from './projection.ts';

/**
 * Validates rules across projections. A contribution is identified by aggregate, legacy table and key, not by projection: two projections of one legacy table would
 * retire each other's contributions. A folded table has rows of many legacy rows; others can own rows of it only if the fold names their legacy tables, none of which may
 * feed it. Throws `config_invalid`.
 */
export function assertDeclarations(projections: readonly Projection[]): void {
  const refuse = (what: string) => {
    throw new CrosswalkError('config_invalid.declarations', what);
  };
  const known = new Map<string, { aggregate: Projection['aggregates'][number]; feeders: Projection[] }>();
  const kinds = new Map<string, string>();
  const note = (table: string, kind: string) => {
    const before = kinds.get(table) ?? kind;
    if (before !== kind) refuse(`Rows of ${table} are declared as ${before} and as ${kind}`);
    kinds.set(table, kind);
  };
  const shared = new Map<string, ReadonlySet<string>>();
  for (const { table, ownedFrom } of projections.flatMap(({ aggregates }) =>
    aggregates.flatMap(({ targets }) => targets),
  ))
    if (ownedFrom !== undefined) shared.set(table, new Set(ownedFrom));
  for (const projection of projections) {
    for (const aggregate of projection.aggregates) {
      const { name } = aggregate;
      const of = known.get(name) ?? { aggregate, feeders: [] };
      known.set(name, of);
      if (of.aggregate !== aggregate)
        refuse(
          `The aggregate ${name} of ${of.feeders[0]!.name} and that of ${projection.name} are not one and the same`,
        );
      const other = of.feeders.find(({ source }) => source === projection.source);
      if (other !== undefined)
        refuse(`${other.name} and ${projection.name} both feed ${name} with rows of ${projection.source}`);
      of.feeders.push(projection);
      for (const { table, ownedFrom } of aggregate.targets) {
        note(table, `folded by ${name}`);
        if (ownedFrom?.includes(projection.source))
          refuse(`${projection.source} feeds ${name}, and rows of ${table} are declared as owned from it`);
      }
    }
    for (const { table } of projection.owned)
      if (shared.get(table)?.has(projection.source) !== true) note(table, 'owned');
    for (const { table } of projection.history?.targets ?? []) note(table, 'a history');
  }
}
