import type pg from 'pg';

/** What transactions that committed wrote, in the order in which they held the row: triggers of the test's own write it down. */
export interface WriteJournal {
  /** Offsets that did not move on from where they stood, and rows that went back to an older version: nothing of it may happen where each change takes effect once. */
  findDoubles(): Promise<string[]>;
  /** How often offsets were moved. */
  countMoves(): Promise<number>;
}

/** Tables whose rows come from one legacy row each: the lineage of their writes never goes back. */
const WATCHED = ['tenants', 'status_options', 'contacts', 'leads', 'quotes_new'] as const;

/** Starts to write down, in a database that is migrated. */
export async function openWriteJournal(target: pg.Client): Promise<WriteJournal> {
  await target.query(`
    CREATE SCHEMA journal;
    CREATE TABLE journal.write (at bigserial PRIMARY KEY, what text NOT NULL, key text NOT NULL, before numeric, after numeric);
    CREATE FUNCTION journal.note_offset() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO journal.write (what, key, before, after)
      VALUES ('offset', concat_ws(' ', NEW.projection, NEW.topic, NEW.partition), OLD.next_offset, NEW.next_offset);
      RETURN NULL;
    END $$;
    CREATE FUNCTION journal.note_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO journal.write (what, key, before, after)
      VALUES (TG_TABLE_NAME, NEW.id::text, CASE WHEN TG_OP = 'UPDATE' THEN OLD.source_lsn - '0/0'::pg_lsn END, NEW.source_lsn - '0/0'::pg_lsn);
      RETURN NULL;
    END $$;
    CREATE TRIGGER note_offset AFTER UPDATE ON crosswalk.consumer_offset FOR EACH ROW EXECUTE FUNCTION journal.note_offset();
    ${WATCHED.map((table) => `CREATE TRIGGER note_row AFTER INSERT OR UPDATE ON crm.${table} FOR EACH ROW WHEN (NEW.origin = 'cdc') EXECUTE FUNCTION journal.note_row();`).join('\n')}
  `);
  return {
    async findDoubles() {
      const { rows } = await target.query<Record<'what' | 'key' | 'before' | 'after', string>>(
        `SELECT what, key, before::text, after::text FROM journal.write WHERE before > after OR (what = 'offset' AND before = after) ORDER BY at`,
      );
      return rows.map(({ what, key, before, after }) => `${what} ${key}: ${before}, then ${after}`);
    },
    async countMoves() {
      const { rows } = await target.query<{ n: string }>(
        `SELECT count(*) AS n FROM journal.write WHERE what = 'offset'`,
      );
      return Number(rows[0]!.n);
    },
  };
}
