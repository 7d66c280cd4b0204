// A TRUNCATE that passes in the stream while a chunk is on its way from the table: what the chunk holds is no longer there.
import type pg from 'pg';
import { expect, test } from 'vitest';
import { readCatalog } from '../../../connectors/catalog.ts';
import { createSnapshot } from '../../../connectors/snapshot/snapshot.ts';
import { createWorkList } from '../../../connectors/snapshot/work.ts';
import { planSourceSetup } from '../../../connectors/source-setup.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createDatabases } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

test.each(['before the chunk arrives', 'before its marker is written'])('%s', async (moment) => {
  const databases = await createDatabases('chunk');
  const capture = { schema: 'public', tables: ['docs'], publication: 'p' };
  const [writer, reader] = [await connect(databases.legacyUrl, 'writer'), await connect(databases.legacyUrl, 'reader')];
  try {
    await writer.query(
      `CREATE TABLE docs (id integer PRIMARY KEY, label text); INSERT INTO docs VALUES (1, 'old'), (2, 'old')`,
    );
    for (const statement of await planSourceSetup(writer, capture)) await writer.query(statement);
    const relations = await readCatalog(reader, capture);
    const tokens: string[] = [];
    const emitted: (string | null)[] = [];
    let isDue = true;
    let isTruncated = false;
    let snapshot: ReturnType<typeof createSnapshot>;
    const pass = (token: string) => {
      for (const { cells } of snapshot.marker(token, [])?.reads ?? []) emitted.push(cells[1]!);
    };
    const truncate = async () => {
      isDue = false;
      await writer.query(`TRUNCATE docs; INSERT INTO docs VALUES (1, 'new'), (3, 'new')`);
      pass(tokens.shift()!);
      snapshot.truncate([relations[0]!.oid]);
      // From here on the stream passes by itself.
      isTruncated = true;
    };
    const client = {
      query: async (query: string | { text: string }, values?: unknown[]) => {
        const text = typeof query === 'string' ? query : query.text;
        const isMarker = text.includes('pg_logical_emit_message');
        if (isMarker && isDue && tokens.length === 1) await truncate();
        const result = await reader.query(query as string, values);
        if (isMarker) tokens.push(values![1] as string);
        if (text.startsWith('SELECT pg_current_snapshot()::text, ') && isDue && moment === 'before the chunk arrives')
          await truncate();
        return result;
      },
    } as unknown as pg.ClientBase;
    const work = createWorkList({ relations, progress: {}, signals: undefined });
    const isCurrent = async () => true;
    snapshot = createSnapshot({
      client,
      openReader: () => Promise.reject(new Error('one connection is enough')),
      readers: 1,
      work,
      chunkRows: 10,
      maxRate: 0,
      maxSessions: 0,
      mostRowBytesOf: () => 1_000_000,
      timeoutMs: 1000,
      isCurrent,
      log: createLog('silent'),
    });
    const stopping = new AbortController();
    const loading = snapshot.run(stopping.signal);
    await waitUntil('the load is complete', () => {
      while (isTruncated && tokens.length > 0) pass(tokens.shift()!);
      return snapshot.isIdle();
    });
    stopping.abort(new Error('over'));
    await expect(loading).rejects.toThrow('over');
    expect(emitted).toEqual(['new', 'new']);
  } finally {
    await reader.end();
    await writer.end();
    await databases.drop();
  }
});
