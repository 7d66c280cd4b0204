// What a legacy database went through, row by row in PostgreSQL's text form, as a replication stream would tell it.

import type pg from 'pg';
import type { LegacyRow } from '../../projectors/projection.ts';
import { quoteIdent } from '../../schemas/quote.ts';
import { sources } from './crm.ts';
import { legacyKeySql } from './legacy-shape.ts';

/** Every table that a projection reads. */
export const HISTORY_TABLES = sources;

/** One change of one row. `transaction` counts commits from 0, `ordinal` changes within one. */
export interface RecordedChange {
  readonly table: string;
  readonly key: string;
  readonly op: 'c' | 'u' | 'd';
  readonly after: LegacyRow | null;
  readonly transaction: number;
  readonly ordinal: number;
}

/** Installs row triggers that record every committed change of these tables. The client must have the pinned settings. */
export async function installRecorder(client: pg.Client): Promise<void> {
  await client.query(`CREATE SCHEMA history; CREATE TABLE history.change (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid text NOT NULL, table_name text NOT NULL, old_key text, new_key text, after_row json)`);
  for (const table of HISTORY_TABLES) {
    const { rows } = await client.query<{ name: string }>(
      `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
      [`public.${table}`],
    );
    const names = rows.map(({ name }) => `'${name}'`).join(', ');
    // format() writes a value as the stream does: padded char(n), t and f; a cast to text would not.
    const cells = rows
      .map(({ name }) => quoteIdent(name))
      .map((column) => `CASE WHEN num_nulls(NEW.${column}) = 0 THEN format('%s', NEW.${column}) END`)
      .join(', ');
    await client.query(`CREATE FUNCTION history.${table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO history.change (xid, table_name, old_key, new_key, after_row) VALUES (pg_current_xact_id()::text, '${table}',
          CASE WHEN TG_OP <> 'INSERT' THEN ${legacyKeySql(table, 'OLD')} END, CASE WHEN TG_OP <> 'DELETE' THEN ${legacyKeySql(table, 'NEW')} END,
          CASE WHEN TG_OP <> 'DELETE' THEN json_object(ARRAY[${names}], ARRAY[${cells}]) END);
        RETURN NULL; END $$;
      CREATE TRIGGER history AFTER INSERT OR UPDATE OR DELETE ON public.${table} FOR EACH ROW EXECUTE FUNCTION history.${table}()`);
  }
}

/** Everything recorded, in commit order. An update of a key is a delete and a create. For one writing connection. */
export async function readHistory(client: pg.Client): Promise<RecordedChange[]> {
  const { rows } = await client.query<{
    xid: string;
    table_name: string;
    old_key: string | null;
    new_key: string | null;
    after_row: string | null;
  }>('SELECT xid, table_name, old_key, new_key, after_row::text FROM history.change ORDER BY seq');
  const changes: RecordedChange[] = [];
  let transaction = -1;
  let ordinal = 0;
  let xid = '';
  for (const row of rows) {
    if (row.xid !== xid) {
      xid = row.xid;
      transaction++;
      ordinal = 0;
    }
    const after = row.after_row === null ? null : (JSON.parse(row.after_row) as LegacyRow);
    const add = (key: string, op: 'c' | 'u' | 'd') =>
      changes.push({
        table: row.table_name,
        key,
        op,
        after: op === 'd' ? null : after,
        transaction,
        ordinal: ordinal++,
      });
    if (row.old_key !== null && row.old_key !== row.new_key) add(row.old_key, 'd');
    if (row.new_key !== null) add(row.new_key, row.old_key === row.new_key ? 'u' : 'c');
  }
  return changes;
}
