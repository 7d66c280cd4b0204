// Every kind of reject through the real writer: there as long as the legacy row has it, and no longer.
import type pg from 'pg';
import { beforeEach, expect, it } from 'vitest';
import type { LegacyRow } from '../../../projectors/projection.ts';
import { bareRow } from '../../support/legacy-shape.ts';
import { type RejectKind, rejectKinds } from '../../support/reject-kinds.ts';
import { contactRow, quoteRow, type ScriptedLog } from '../../support/scripted-log.ts';
import { useScriptedTarget } from '../../support/scripted-target.ts';

let client: pg.Client;
let log: ScriptedLog;

const keyed = rejectKinds.map((kind, n) => ({
  ...kind,
  key: `f0000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
}));
type Keyed = (typeof keyed)[number];

useScriptedTarget('rejects', 2, (target) => {
  ({ client, log } = target);
});

/** Rows refer to a contact that is always there. */
const PARENT = 'e0000000-0000-4000-8000-000000000001';
function rowOf(table: string, key: string, cells: RejectKind['cells']): LegacyRow {
  if (table === 'contacts') return contactRow(key, cells);
  return table === 'quotes' ? quoteRow(key, cells) : bareRow(table, 0, { id: key, ...cells }, { contacts: PARENT });
}
beforeEach(() => log.deliver('contacts', 0, contactRow(PARENT)));

async function deliver(
  kinds: readonly Keyed[],
  cellsOf: (kind: RejectKind) => RejectKind['cells'] | null,
): Promise<void> {
  for (const table of new Set(kinds.map((kind) => kind.table))) {
    const changes = kinds
      .filter((kind) => kind.table === table)
      .map((kind) => {
        const cells = cellsOf(kind);
        return cells === null ? { deleted: kind.key } : rowOf(table, kind.key, cells);
      });
    if (changes.length > 0) expect(await log.deliver(table, 0, ...changes)).toMatchObject({ parked: 0, defects: [] });
  }
}
const found = async () =>
  (
    await client.query(
      `SELECT legacy_table AS table, legacy_key AS key, path, reason, raw_value AS "rawValue" FROM crm.rejects ORDER BY legacy_key`,
    )
  ).rows;
const expected = (kinds: readonly Keyed[]) =>
  kinds.map(({ table, key, path, reason, rawValue }) => ({ table, key, path, reason, rawValue }));

it('every kind is kept with table, key, path and reason, and goes when its legacy row is corrected', async () => {
  await deliver(keyed, (kind) => kind.cells);
  expect(await found()).toEqual(expected(keyed));
  const [some, others] = [keyed.filter((_, n) => n % 2 === 0), keyed.filter((_, n) => n % 2 === 1)];
  await deliver(some, (kind) => kind.corrected);
  expect(await found()).toEqual(expected(others));
  // The same change again is no other.
  await deliver(others, (kind) => kind.cells);
  expect(await found()).toEqual(expected(others));
  await deliver(others, (kind) => kind.corrected);
  expect(await found()).toEqual([]);
});

it('every kind goes when its legacy row is deleted, and comes back with it', async () => {
  await deliver(keyed, (kind) => kind.cells);
  await deliver(keyed, () => null);
  expect(await found()).toEqual([]);
  await deliver(keyed, (kind) => kind.cells);
  expect(await found()).toEqual(expected(keyed));
});

it('a value that is replaced by another without a form is one reject, with the new value', async () => {
  const kind = keyed.find(({ path }) => path === 'lead_status')!;
  await deliver([kind], ({ cells }) => cells);
  await deliver([kind], () => ({ lead_status: 'Colder' }));
  expect(await found()).toEqual([{ ...expected([kind])[0], rawValue: 'Colder' }]);
});
