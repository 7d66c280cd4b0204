import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { createRandom } from '../../pipelines/crm/sample/random.ts';
import type { LogRecord } from './read-log.ts';

/** A table of rows that each count their own versions: every write of a row takes a higher one, also after a delete. */
export function versionedSchema(rows: number): string {
  return `CREATE SEQUENCE versions;
    CREATE TABLE docs (id integer PRIMARY KEY, tenant text NOT NULL, version bigint NOT NULL DEFAULT nextval('versions'), label text);
    INSERT INTO docs SELECT i, 't' || i % 5, nextval('versions'), 'first' FROM generate_series(1, ${rows}) i`;
}

/** Changes rows of `docs`, half of the time among a few of them, on a connection for each writer; each has keys of its own. */
export async function startVersionedTraffic(
  url: string,
  options: { seed: string; rows: number; changesPerSecond: number; writers?: number },
): Promise<{ changes(): number; stop(): Promise<void> }> {
  const { seed, rows, changesPerSecond, writers = 2 } = options;
  const startedAtMs = performance.now();
  let changes = 0;
  let isStopping = false;
  const write = async (writer: number) => {
    const random = createRandom(`${seed}/${writer}`);
    const client = new pg.Client({ connectionString: url, options: '-c synchronous_commit=off' });
    await client.connect();
    const toId = (id: number) => id - (id % writers) + writer;
    try {
      while (!isStopping) {
        const dueMs = startedAtMs + (changes * 1000) / changesPerSecond;
        if (dueMs > performance.now()) await sleep(dueMs - performance.now());
        const id = toId(random.chance(0.5) ? random.int(2, 300) : random.int(2, rows));
        const [sql, ...values] = random.weighted<[string, ...(string | number)[]]>([
          [[`UPDATE docs SET version = nextval('versions'), label = $2 WHERE id = $1`, id, `u${changes}`], 6],
          [['DELETE FROM docs WHERE id = $1', id], 1],
          [
            [
              `INSERT INTO docs (id, tenant) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET version = excluded.version`,
              id,
              `t${random.int(0, 4)}`,
            ],
            2,
          ],
          [
            [
              `UPDATE docs SET id = $2, version = nextval('versions') WHERE id = $1 AND NOT EXISTS (SELECT FROM docs WHERE id = $2)`,
              id,
              toId(random.int(2, rows)),
            ],
            1,
          ],
        ]);
        await client.query(sql, values);
        changes += 1;
      }
    } finally {
      await client.end();
    }
  };
  const writing = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  writing.catch(() => undefined);
  return {
    changes: () => changes,
    async stop() {
      isStopping = true;
      await writing;
    },
  };
}

/** Records of a row that come after a newer version of it, as text. */
export function findOlderVersions(log: readonly LogRecord[]): string[] {
  const newest = new Map<string, bigint>();
  const found: string[] = [];
  for (const { key, offset, value } of log) {
    if (value?.after == null) continue;
    const version = BigInt(value.after.version!);
    const before = newest.get(key) ?? 0n;
    // An old version again is none that is older: a row may be read after its change was streamed.
    if (version < before) found.push(`${key} at ${offset}: ${value.op} of version ${version} after ${before}`);
    if (version > before) newest.set(key, version);
  }
  return found;
}
