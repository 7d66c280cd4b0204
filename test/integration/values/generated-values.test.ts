// Generated values of every family of types through the real connector under hostile settings, compared with PostgreSQL's own text.
// CROSSWALK_SEED=<seed printed> makes the same values again, CROSSWALK_RUNS=<n> makes more of them.
import fc from 'fast-check';
import pg from 'pg';
import { expect, test } from 'vitest';
import { createConnectorRig } from '../../support/connector.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { INPUTS, MADE } from './any-input.ts';
import { makeHostile } from './hostile-settings.ts';
import { openTextOracle } from './text-oracle.ts';
import { createHistory } from './value-history.ts';
import { findValueFaults, readValueEvents } from './value-log.ts';
import { OWN_TYPES } from './value-tables.ts';

const BASE_SEED = Number(process.env.CROSSWALK_SEED ?? Date.now() % 1_000_000_000);
const RUNS = Number(process.env.CROSSWALK_RUNS ?? 1);
const ROWS = 200;
const TABLE = 'public.generated';
const quote = pg.escapeIdentifier;
const inputs = Object.keys(INPUTS);

/** Rows from `from` on, of which some cells are null. */
function insertGenerated(seed: number, from: number): string {
  const rows = fc.sample(fc.tuple(...inputs.map((type) => fc.option(INPUTS[type]!, { freq: 12 }))), {
    seed,
    numRuns: ROWS,
  });
  const cells = rows.map((row, index) => {
    const values = row.map((cell, column) => `${cell === null ? 'NULL' : pg.escapeLiteral(cell)}::${inputs[column]}`);
    return `INSERT INTO ${TABLE} (id, ${inputs.map(quote).join(', ')}) VALUES (${from + index}, ${values.join(', ')})`;
  });
  const made = Object.entries(MADE).map(([name, expression]) => `${quote(name)} = ${expression}`);
  return `${cells.join(';\n')}; UPDATE ${TABLE} t SET ${made.join(', ')} FROM ${TABLE} a, ${TABLE} b
    WHERE a.id = t.id AND b.id = CASE WHEN t.id = ${from} THEN ${from + ROWS - 1} ELSE t.id - 1 END AND t.id >= ${from}`;
}

const seeds = Array.from({ length: RUNS }, (_, run) => BASE_SEED + run);

test.each(seeds)('what the log holds is what PostgreSQL wrote: CROSSWALK_SEED=%i', async (seed) => {
  const definitions = [...inputs, ...Object.keys(MADE)].map((type) => `${quote(type)} ${type}`);
  const rig = await createConnectorRig('generated', {
    tables: ['generated'],
    schema: `${OWN_TYPES} CREATE TABLE ${TABLE} (id int PRIMARY KEY, version int DEFAULT 0, ${definitions.join(', ')})`,
    env: { CROSSWALK_CHUNK_ROWS: '40' },
  });
  try {
    await makeHostile(rig.legacy);
    const oracle = await openTextOracle(rig.env.LEGACY_DATABASE_URL!);
    const history = createHistory(oracle);
    await history.change(TABLE, 'r', [insertGenerated(seed, 1)]);
    const connector = rig.run();
    await waitUntil('it streams', () => connector.status.state === 'streaming');
    await rig.untilCaughtUp();
    await oracle.client.query(`CREATE TABLE ext.later AS TABLE ${TABLE} WITH NO DATA`);
    await oracle.client.query(insertGenerated(seed + 1_000_000_007, 1001).replaceAll(TABLE, 'ext.later'));
    await history.change(TABLE, 'c', [`INSERT INTO ${TABLE} SELECT * FROM ext.later`]);
    await history.change(TABLE, 'c', [`UPDATE ${TABLE} SET version = 1 WHERE id % 3 = 0`]);
    const names = [...inputs, ...Object.keys(MADE)].map(quote);
    await history.change(TABLE, 'c', [
      `UPDATE ${TABLE} t SET (${names.join(', ')}) = ROW (${names.map((name) => `s.${name}`).join(', ')})
        FROM ${TABLE} s WHERE s.id = t.id + 1000`,
    ]);
    await history.change(TABLE, 'c', [`DELETE FROM ${TABLE} WHERE id % 5 = 0`]);
    await rig.untilCaughtUp();
    await connector.stop();
    const columns = new Map([['generated', await oracle.columnsOf(TABLE)]]);
    await oracle.client.end();
    const events = await readValueEvents(rig, columns);
    expect(findValueFaults(events, 'generated', history.expected(TABLE))).toEqual([]);
    const count = (op: string) => events.filter((event) => event.op === op).length;
    expect([count('r'), count('c')]).toEqual([ROWS, ROWS]);
    expect(count('u')).toBeGreaterThan(ROWS);
    expect(count('d')).toBeGreaterThan(ROWS / 4);
  } finally {
    await rig.drop();
  }
});
