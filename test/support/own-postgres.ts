import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../infra/stack/postgres.ts';
import { waitUntil } from './wait-until.ts';

/** A PostgreSQL of a test's own, for what a shared one must not be put through. */
export interface OwnPostgres {
  readonly url: string;
  /** Runs statements as its superuser, each by itself; never waits for a standby. */
  admin(...statements: string[]): Promise<void>;
  restart(): Promise<void>;
  /** Kills it, and starts it again. */
  crash(): Promise<void>;
  close(): Promise<void>;
}

/** Starts it in a folder of its own. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-postgres-')));
  const removeDir = () => rmSync(dir, { recursive: true, force: true });
  try {
    mkdirSync(join(dir, 'logs'));
    const { server, url } = await startPostgres(dir, ['legacy'], undefined);
    return {
      url: url('legacy'),
      async admin(...statements) {
        const client = new pg.Client({ connectionString: url('legacy'), options: '-c synchronous_commit=local' });
        await client.connect();
        try {
          for (const statement of statements) await client.query(statement);
        } finally {
          await client.end();
        }
      },
      async restart() {
        await server.stop();
        await server.start();
      },
      async crash() {
        await server.stop('SIGKILL');
        // Its children hold the shared memory until they are gone as well.
        await waitUntil('the server starts again', () =>
          server.start().then(
            () => true,
            () => false,
          ),
        );
      },
      async close() {
        await server.stop();
        removeDir();
      },
    };
  } catch (error) {
    removeDir();
    throw error;
  }
}
