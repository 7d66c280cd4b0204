import type { Projection } from '../projectors/projection.ts';
import { type Check, checksOf } from './checks.ts';

/**
 * Compares the columns of legacy tables, by table, with those that the rules name: pure. A missing column stops a projection that requires it; every other
 * difference is only informative. Another check reports missing tables.
 */
export function toColumnChecks(
  projections: readonly Projection[],
  columns: Readonly<Record<string, readonly string[]>>,
): Check[] {
  const { ok, note, failing } = checksOf('source');
  const checks: Check[] = [];
  for (const [table, own] of Map.groupBy(projections, ({ source }) => source)) {
    const found = columns[table];
    if (found === undefined) continue;
    const lacks = (names: readonly string[]) => [...new Set(names)].filter((name) => !found.includes(name));
    const required = lacks(own.flatMap(({ requires }) => requires));
    const read = new Set(own.flatMap(({ reads }) => reads));
    const absent = lacks([...read]).filter((name) => !required.includes(name));
    const unnamed = found.filter((name) => !read.has(name));
    if (required.length > 0)
      checks.push(
        failing(
          'columns',
          `Legacy table ${table} lacks ${required.join(', ')}, which a projection requires: it stops`,
          'Adapt the mapping (docs/mapping.md), raise its version and deploy it; or give the legacy table the column.',
        ),
      );
    if (absent.length > 0)
      checks.push(
        note(
          'columns',
          `Legacy table ${table} lacks ${absent.join(', ')}: the mapping takes them for null`,
          'Nothing is to be done, unless the column has another name there: docs/mapping.md says what becomes of each.',
        ),
      );
    if (unnamed.length > 0)
      checks.push(
        note(
          'columns',
          `Legacy table ${table} has ${unnamed.join(', ')}, which no rule names: custom fields or source_metadata keep what is in them`,
          'Nothing is to be done, unless the new schema should have a column of it: then it needs a rule, docs/mapping.md.',
        ),
      );
  }
  return checks.length > 0
    ? checks
    : [ok('columns', 'the legacy tables have the columns that the rules name, and no others')];
}
