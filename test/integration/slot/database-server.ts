// PostgreSQL servers of a test's own, and copies of them: standbys, restored backups.
import { execFileSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../../infra/stack/postgres.ts';

export interface DatabaseServer {
  readonly url: string;
  readonly port: number;
  /** Runs statements as its superuser, each by itself; returns the rows of the last, every value as text. */
  admin<Row extends object>(...statements: string[]): Promise<Row[]>;
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  start(): Promise<void>;
  /** A copy of its files, which must be at rest, slots included; it is started by `openDatabaseServer`. */
  copy(): string;
  close(): Promise<void>;
}

/** Starts a server: a new one with the database `legacy`, or one on the copy in `dir`. `settings` are those of a standby. */
export async function openDatabaseServer(
  dir = newFolder(),
  settings?: Readonly<Record<string, string>>,
): Promise<DatabaseServer> {
  if (settings !== undefined) {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    appendFileSync(join(dir, 'postgres/postgresql.auto.conf'), lines.join(''));
    writeFileSync(join(dir, 'postgres/standby.signal'), '');
  }
  const { server, port, url } = await startPostgres(dir, ['legacy'], undefined);
  return {
    url: url('legacy'),
    port,
    async admin<Row extends object>(...statements: string[]) {
      const client = new pg.Client({
        connectionString: url('legacy'),
        types: { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig,
      });
      client.on('error', () => undefined);
      await client.connect();
      try {
        let rows: Row[] = [];
        for (const statement of statements) rows = (await client.query<Row>(statement)).rows;
        return rows;
      } finally {
        await client.end();
      }
    },
    stop: (signal) => server.stop(signal),
    start: () => server.start(),
    copy() {
      const copied = newFolder();
      for (const file of ['postgres.password', 'postgres.created']) copyFileSync(join(dir, file), join(copied, file));
      // With its owner: the server runs as the user that the files belong to.
      execFileSync('cp', ['-a', join(dir, 'postgres'), join(copied, 'postgres')]);
      rmSync(join(copied, 'postgres/postmaster.pid'), { force: true });
      return copied;
    },
    async close() {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function newFolder(): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-postgres-')));
  mkdirSync(join(dir, 'logs'));
  return dir;
}
