// Schema changes as a database administrator runs them: with a lock timeout, and again until they are done, through crashes of the server.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const PATIENCE_MS = 300_000;
const RETRY_MS = 300;
/** Traffic must not queue behind a lock that is waited for. */
const LOCK_TIMEOUT = '2s';
/** lock_not_available, deadlock_detected, serialization_failure, and a server or connection that goes away or is not there yet. */
const AGAIN = /^(55P03|40P01|40001|08...|57P0.|53...|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT)$/;

export interface Dba {
  /** One transaction, done once whatever happens to the connection. Returns an LSN from within it, when all its locks were held. */
  commit(sql: string): Promise<bigint>;
  /** Statements that no transaction may hold; those of a broken attempt run again. */
  alone(...statements: readonly string[]): Promise<void>;
  rollBack(sql: string): Promise<void>;
  /** A statement that the server refuses. Throws where it does not. */
  refused(sql: string): Promise<void>;
}

/** Throws what waiting does not heal, and everything after five minutes. */
export function createDba(url: string): Dba {
  let done = 0;
  async function insist<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const client = new pg.Client({ connectionString: url, options: `-c lock_timeout=${LOCK_TIMEOUT}` });
      client.on('error', () => undefined);
      try {
        await client.connect();
        return await work(client);
      } catch (error) {
        if (!isPassing(error) || performance.now() > deadline) throw error;
      } finally {
        await client.end().catch(() => undefined);
      }
      await sleep(RETRY_MS);
    }
  }

  return {
    async commit(sql) {
      const id = ++done;
      return await insist(async (client) => {
        await client.query('CREATE TABLE IF NOT EXISTS schema_changes (id integer PRIMARY KEY, lsn pg_lsn NOT NULL)');
        // A connection that broke at its COMMIT leaves open what became of it.
        const { rows } = await client.query<{ lsn: string }>('SELECT lsn::text FROM schema_changes WHERE id = $1', [
          id,
        ]);
        if (rows[0] !== undefined) return toLsn(rows[0].lsn);
        await client.query('BEGIN');
        await client.query(sql);
        const { rows: marked } = await client.query<{ lsn: string }>(
          'INSERT INTO schema_changes VALUES ($1, pg_current_wal_insert_lsn()) RETURNING lsn::text',
          [id],
        );
        await client.query('COMMIT');
        return toLsn(marked[0]!.lsn);
      });
    },
    alone: (...statements) =>
      insist(async (client) => {
        for (const statement of statements) await client.query(statement);
      }),
    rollBack: (sql) =>
      insist(async (client) => {
        await client.query('BEGIN');
        await client.query(sql);
        await client.query('ROLLBACK');
      }),
    refused: (sql) =>
      insist(async (client) => {
        const error = await client.query(sql).then(
          () => new Error(`not refused: ${sql}`),
          (caught: unknown) => caught,
        );
        if (isPassing(error) || !(error instanceof pg.DatabaseError)) throw error;
      }),
  };
}

function isPassing(error: unknown): boolean {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  return AGAIN.test(code) || /Connection terminated|not queryable/.test(message);
}

function toLsn(text: string): bigint {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}
