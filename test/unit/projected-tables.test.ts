// Every table that a projection writes is known wherever tables are listed.

import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { wantedTables } from '../../monitor/target-access.ts';
import { verifiedTables } from '../../projectors/verify/plan.ts';
import { targetTables } from '../../projectors/write/catalog.ts';
import { LINEAGE_COLUMNS } from '../../projectors/write/statements.ts';
import { irreplaceableRows } from '../../schemas/backup/irreplaceable.ts';
import { allProjections, crm, histories, projections, toOmissions, toUnits } from '../support/crm.ts';
import { SHOWN_FROM } from '../support/stages.ts';

const tables = [...new Set(allProjections.flatMap(targetTables))].sort();
const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
const types = Object.fromEntries([...'id tenant_id'.split(' '), ...LINEAGE_COLUMNS].map((column) => [column, 'text']));

describe('every projected table', () => {
  it('is verified against the legacy rows, or is one of a history', () => {
    const ofState = new Set(projections.flatMap(targetTables));
    expect(verifiedTables(allProjections)).toEqual(expect.arrayContaining([...ofState]));
    // A history rests on the log alone: nothing in the legacy tables tells it. A rebuild compares all of its rows with what the log says.
    const ofHistory = [...new Set(histories.flatMap(targetTables))].sort();
    expect(ofHistory.filter((table) => ofState.has(table))).toEqual([]);
    const shapes = new Map(tables.map((table) => [table, { table, types }]));
    const compared = toUnits(allProjections, allProjections, shapes);
    expect([...new Set(compared.flatMap(({ kind, table }) => (kind === 'history' ? [table] : [])))].sort()).toEqual(
      ofHistory,
    );
    expect([...ofState, ...ofHistory].sort()).toEqual(tables);
  });

  it('has a stage, or is for operators', () => {
    expect([...Object.keys(SHOWN_FROM), crm.rejects, ...(crm.foldedRejects ?? [])].sort()).toEqual(tables);
  });

  it('is kept in a backup as far as the application wrote it', () => {
    for (const table of tables)
      expect(`${table} ${irreplaceableRows('crm', table, ['id', 'origin', ...LINEAGE_COLUMNS])}`).toBe(
        `${table} origin = 'app'`,
      );
  });

  it('has its rules in docs/mapping.md, under a heading that names its legacy table', () => {
    const headings = [...read('docs/mapping.md').matchAll(/^## (.*→.*)$/gm)].map(([, text]) => text!);
    const missing = allProjections.flatMap((projection) =>
      targetTables(projection)
        .filter(
          (table) =>
            !headings.some((heading) => {
              const [from = '', to = ''] = heading.split('→').map((side) => side.split(/[^a-z_]+/).join(' '));
              return ` ${from} `.includes(` ${projection.source} `) && ` ${to} `.includes(` ${table} `);
            }),
        )
        .map((table) => `${projection.source} → ${table}`),
    );
    expect(missing).toEqual([]);
  });

  it.each(tables)('%s is missed where it is not there', (table) => {
    expect(toOmissions(wantedTables(allProjections), new Map()).filter((of) => of.table === table)).toMatchObject([
      { kind: 'the table' },
    ]);
  });
});

test('the oracle lists no tables of its own', () => {
  for (const file of [
    'projectors/verify/oracle/oracle.ts',
    'projectors/verify/oracle/compare.sql',
    'pipelines/crm/oracle/oracle.sql',
  ])
    expect(read(file), file).not.toMatch(/'quote_items_new',/);
});
