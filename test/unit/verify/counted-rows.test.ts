import { expect, test } from 'vitest';
import type { LegacyTotal } from '../../../projectors/pipeline.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { toTotalChecks } from '../../../projectors/verify/checks.ts';
import type { RowResult } from '../../../projectors/verify/compare-key.ts';
import { createFindings, LEGACY_TOTAL, toFigures } from '../../../projectors/verify/findings.ts';
import { toPlans } from '../../../projectors/verify/plan.ts';
import { createTally } from '../../../projectors/verify/tally.ts';

const counted: LegacyTotal = { name: 'pens', source: 'pens', of: () => '1', table: 'pens_new', column: null };
const projection: Projection = {
  ...{ name: 'pens', version: '1', source: 'pens', requires: ['id'], reads: ['id'], aggregates: [] },
  owned: [
    { table: 'pens_new', columns: ['id', 'tenant_id'], retract: 'delete', scope: { column: 'id', of: (key) => key } },
  ],
  map: () => ({ rows: {}, contributions: [] }),
};
const shape = { table: 'pens_new', types: { id: 'text', tenant_id: 'text' } };
const [plan] = toPlans([projection], new Map([['pens_new', shape]]), [counted]);
const resultOf = (kind: RowResult['kind']): RowResult => ({
  ...{ table: 'pens_new', id: kind, tenant: 't', kind, cells: [], numbers: [], lineage: null, physical: null },
  merged: null,
});

/** The check after two equal rows and what `add` finds. */
function checkAfter(add: (findings: ReturnType<typeof createFindings>) => void) {
  const tally = createTally();
  const findings = createFindings(tally, []);
  for (const id of ['a', 'b']) {
    const figures = toFigures(plan!, { legacyKey: id, rows: [[[id, 't']]], contributions: [] }, { id });
    findings.addEqual(plan!, figures);
  }
  add(findings);
  const sums = tally.sums();
  const found = new Map(sums.filter(({ table }) => table === LEGACY_TOTAL).map((sum) => [sum.column, sum.expected]));
  return toTotalChecks([counted], found, sums)[0];
}
const settle =
  (kind: RowResult['kind'], isSettled = true) =>
  (findings: ReturnType<typeof createFindings>) =>
    findings.addSettled(
      { plan: plan!, legacyKey: kind, row: { id: kind }, explained: null },
      [resultOf(kind)],
      isSettled,
    );

test('as many new rows as legacy rows, whatever they hold', () => {
  const two = { name: 'pens', expected: '2', actual: '2', ok: true };
  expect(checkAfter(() => undefined)).toEqual(two);
  expect(checkAfter(settle('differs'))).toEqual({ ...two, expected: '3', actual: '3' });
  // What is not settled is in neither count.
  expect(checkAfter(settle('missing', false))).toEqual(two);
});

test('a new row too few, and one too many', () => {
  expect(checkAfter(settle('missing'))).toMatchObject({ expected: '3', actual: '2', ok: false });
  const extra = { legacyTable: 'pens', legacyKey: 'x', explained: null };
  expect(checkAfter((findings) => findings.addRow(resultOf('extra'), extra, true))).toMatchObject({
    ...{ expected: '2', actual: '3', ok: false },
  });
});
