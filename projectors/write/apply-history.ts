import type pg from 'pg';
import { quoteIdent } from '../../schemas/quote.ts';
import type { Cell, NewRow, Projection } from '../projection.ts';
import { toCells } from '../source-change.ts';
import type { TargetShapes } from './catalog.ts';
import { FoldError } from './data-error.ts';
import type { Flight } from './flight.ts';
import { toJsonbRows } from './jsonb-rows.ts';
import { type HistoryStep, isSameState } from './map-history.ts';
import { LINEAGE_COLUMNS } from './statements.ts';

/** Steps of legacy rows, by legacy key, oldest first. */
type StepsByKey = ReadonlyMap<string, readonly HistoryStep[]>;

/**
 * Appends the rows that changes of state add to a history, and stores the resulting states. Ids derive from the changes, so applying a change again adds no second row. A
 * read of a row without a known state begins its history and adds nothing. The last statements are still in flight on return.
 */
export async function sendHistory(
  client: pg.ClientBase,
  flight: Flight,
  projection: Projection,
  shapes: TargetShapes,
  steps: StepsByKey,
): Promise<void> {
  const history = projection.history!;
  const unknown = [...steps].filter(([, [first]]) => first?.before === undefined).map(([legacyKey]) => legacyKey);
  const reading = flight.ask(readStates(client, projection.name, unknown));
  if (unknown.length > 0) await flight.landed();
  const stored = await reading;
  const added = new Map<string, Cell[][]>(history.targets.map(({ table }) => [table, []]));
  for (const [legacyKey, list] of steps) {
    for (const { change, before: known, after } of list) {
      const before = known === undefined ? stored.get(legacyKey) : known;
      if (before === undefined || isSameState(before, after)) continue;
      const { lsn, xid, committedAt } = change.lineage;
      const lineage = [projection.source, legacyKey, lsn, xid, committedAt, projection.version];
      const id = change.identity;
      const ordinal = id.slice(id.lastIndexOf('/') + 1);
      const rows = tryRows(() =>
        history.rowsOf({ id, ordinal, before, after, committedAt, context: change.context ?? null }),
      );
      for (const { table, columns } of history.targets) {
        for (const row of rows[table] ?? []) added.get(table)!.push([...toCells(row, columns), ...lineage]);
      }
    }
  }
  for (const { table, columns } of history.targets) {
    const rows = added.get(table)!;
    if (rows.length > 0) flight.add(append(client, shapes, table, columns, rows));
  }
  flight.add(writeStates(client, projection.name, steps));
}

function tryRows<T>(rows: () => T): T {
  try {
    return rows();
  } catch (error) {
    throw new FoldError(error);
  }
}

async function append(
  client: pg.ClientBase,
  shapes: TargetShapes,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
): Promise<void> {
  const { types } = shapes.get(table)!;
  const written = [...columns, ...LINEAGE_COLUMNS];
  await client.query({
    name: `crosswalk append ${table}`,
    text: `INSERT INTO ${quoteIdent(table)} (${written.map(quoteIdent).join(', ')}, origin)
     SELECT ${written.map((column, index) => `(r->>${index})::${types[column]}`).join(', ')}, 'cdc' FROM jsonb_array_elements($1::jsonb) r ON CONFLICT (id) DO NOTHING`,
    values: [toJsonbRows(rows)],
  });
}

/** Reads the last stored states of legacy rows; null: the legacy row had none. */
async function readStates(
  client: pg.ClientBase,
  projection: string,
  legacyKeys: readonly string[],
): Promise<Map<string, NewRow | null>> {
  if (legacyKeys.length === 0) return new Map();
  const { rows } = await client.query<{ legacy_key: string; state: string | null }>({
    name: 'crosswalk read history states',
    text: 'SELECT legacy_key, state FROM history_state WHERE projection = $1 AND legacy_key = ANY ($2)',
    values: [projection, legacyKeys],
  });
  return new Map(rows.map(({ legacy_key, state }) => [legacy_key, state === null ? null : JSON.parse(state)]));
}

/** Stores states. A change that is applied late, as a dead letter may be, never moves a state back. */
async function writeStates(client: pg.ClientBase, projection: string, steps: StepsByKey): Promise<void> {
  const rows = [...steps].flatMap(([legacyKey, list]) => {
    const last = list.at(-1);
    return last === undefined ? [] : [[legacyKey, String(last.change.record.offset), last.after]];
  });
  if (rows.length === 0) return;
  await client.query({
    name: 'crosswalk write history states',
    text: `INSERT INTO history_state AS s (projection, legacy_key, record_offset, state)
     SELECT $1, r->>0, (r->>1)::bigint, nullif(r->2, 'null') FROM jsonb_array_elements($2::jsonb) r
     ON CONFLICT (projection, legacy_key) DO UPDATE SET record_offset = excluded.record_offset, state = excluded.state WHERE s.record_offset < excluded.record_offset`,
    values: [projection, JSON.stringify(rows)],
  });
}
