import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import { reach } from '../../runtime/faults.ts';
import { connect, sourceOptions } from '../../runtime/postgres.ts';
import { quoteTable } from '../quote.ts';
import { copyOut, type FileDigest } from './copy.ts';
import { readDefinitions } from './definitions.ts';
import { digestTable, nameOf, readTableShapes, type TableDigest, type TableShape } from './digest.ts';
import { refuseFilled, writeFolder, writeText } from './folder.ts';
import type { Definitions, Manifest } from './manifest.ts';
import { type Environment, lockedByOther } from './pg-dump.ts';
import { toRestoreScript } from './restore-script.ts';

export type BackupStep = 'checksums' | 'copying' | 'files' | 'loading' | 'comparing';

export interface BackupOptions {
  readonly url: string;
  readonly schemas: readonly string[];
  /** Additional files to store with the backup, by name. */
  readonly extra?: Readonly<Record<string, string>>;
  readonly env: Environment;
  readonly signal: AbortSignal;
  /** Rows done and, as far as known, in total. */
  readonly onProgress: (step: BackupStep, done: number, total: number) => void;
}

/** A backup on disk. `digest`: SHA-256 of its list of files. */
export interface Backup {
  readonly manifest: Manifest;
  readonly digest: string;
}

/**
 * Names resolve only in pg_catalog, so every other name is written with its schema; a role that can see only some rows
 * fails; and all other settings that affect how SQL is written or read are the same in the reading and the loading
 * session.
 */
const SESSION = [
  sourceOptions,
  ...['row_security=off', 'statement_timeout=0', 'idle_in_transaction_session_timeout=0', 'lock_timeout=10s'],
  ...['standard_conforming_strings=on', 'backslash_quote=safe_encoding', 'transform_null_equals=off'],
  ...[
    'default_transaction_read_only=off',
    'default_transaction_isolation=read\\ committed',
    'check_function_bodies=off',
  ],
].join(' -c ');

/** Opens a session for reading or loading whole schemas. */
export async function openBackupSession(url: string): Promise<pg.Client> {
  return await connect(url, 'backup', SESSION);
}

/**
 * Writes definitions and rows of some schemas, as of one snapshot, into a new folder. Does not block writers; blocks
 * ALTER on the tables meanwhile. Throws `backup_invalid` for a folder that is not empty, and for what cannot be
 * written; `locked` if another session is altering a table.
 */
export async function createBackup(dir: string, options: BackupOptions): Promise<Backup> {
  await refuseFilled(dir);
  const client = await openBackupSession(options.url);
  try {
    const shapes = await beginSnapshot(client, options.schemas);
    const server = await readServer(client);
    const digests = await digestTables(client, shapes, options);
    const { url, env, signal } = options;
    const source = { url, env, signal, major: server.major, snapshot: server.snapshot };
    const { definitions, definedBy } = await readDefinitions(client, source, options.schemas);
    let manifest: Manifest | undefined;
    const digest = await writeFolder(dir, async (folder) => {
      const files = new Map<string, FileDigest>();
      const names = await copyTables(client, shapes, digests, { ...options, folder, files, encoding: server.encoding });
      manifest = {
        format: 1,
        takenAt: server.takenAt,
        server: {
          version: server.version,
          major: server.major,
          systemId: server.systemId,
          database: server.database,
          encoding: server.encoding,
        },
        lsn: server.lsn,
        snapshot: server.snapshot,
        schemas: [...options.schemas],
        definedBy,
        tables: shapes.map(({ schema, name, columns }, at) => ({
          ...{ schema, name, columns: [...columns], file: names[at]! },
          ...digests[at]!,
        })),
        sequences: await readSequences(client, options.schemas),
        notes: await readNotes(client, options.schemas),
      };
      for (const [name, text] of Object.entries(toFiles(manifest, definitions, options.extra ?? {})))
        files.set(name, await writeText(join(folder, name), text));
      return files;
    });
    await client.query('COMMIT');
    return { manifest: manifest!, digest };
  } finally {
    await client.end().catch(() => undefined);
  }
}

function toFiles(
  manifest: Manifest,
  definitions: Definitions,
  extra: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    ...extra,
    'definitions.json': `${JSON.stringify(definitions, null, 1)}\n`,
    'manifest.json': `${JSON.stringify(manifest, null, 1)}\n`,
    'restore.sql': toRestoreScript(manifest, definitions),
  };
}

/**
 * Begins the transaction of the backup: locks every table against ALTER before taking the snapshot. Throws
 * `backup_invalid` for a schema that does not exist.
 */
async function beginSnapshot(client: pg.Client, schemas: readonly string[]): Promise<TableShape[]> {
  const { rows: missing } = await client.query<{ schema: string }>(
    'SELECT s AS schema FROM unnest($1::text[]) AS s WHERE NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = s)',
    [schemas],
  );
  if (missing.length > 0)
    throw new CrosswalkError(
      'backup_invalid.no_schema',
      `The database has no schema ${missing.map(({ schema }) => schema).join(', ')}`,
    );
  for (let attempt = 1; ; attempt++) {
    const expected = await readTableShapes(client, schemas);
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    try {
      if (expected.length > 0)
        await client.query(
          `LOCK TABLE ${expected.map((shape) => `ONLY ${nameOf(shape)}`).join(', ')} IN ACCESS SHARE MODE`,
        );
      const found = await readTableShapes(client, schemas);
      if (JSON.stringify(found) === JSON.stringify(expected)) return found;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === '55P03') throw lockedByOther('The backup', error);
      // A table was dropped between the read and the lock.
      if (code !== '42P01' || attempt >= 5) throw error;
    }
    await client.query('ROLLBACK');
    if (attempt >= 5) throw new CrosswalkError('backup_invalid.migrating', 'Tables are altered all the time');
  }
}

interface Server {
  readonly version: string;
  readonly major: number;
  readonly systemId: string;
  readonly database: string;
  readonly encoding: string;
  readonly lsn: string;
  readonly snapshot: string;
  readonly takenAt: string;
}

async function readServer(client: pg.Client): Promise<Server> {
  const { rows } = await client.query<Record<Exclude<keyof Server, 'major' | 'systemId'> | 'number', string>>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number, current_database()::text AS database,
       pg_encoding_to_char(encoding)::text AS encoding, pg_export_snapshot() AS snapshot,
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END)::text AS lsn,
       to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "takenAt"
     FROM pg_database WHERE datname = current_database()`,
  );
  const { number, ...server } = rows[0]!;
  return { ...server, major: Math.floor(Number(number) / 10_000), systemId: await readSystemId(client) };
}

/** The system identifier of a server; empty if the role may not read it. */
export async function readSystemId(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT CASE WHEN has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') THEN (SELECT system_identifier::text FROM pg_control_system()) ELSE '' END AS id`,
  );
  return rows[0]!.id;
}

async function digestTables(
  client: pg.Client,
  shapes: readonly TableShape[],
  { schemas, signal, onProgress }: BackupOptions,
): Promise<TableDigest[]> {
  const { rows } = await client.query<{ rows: string }>(
    `SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint::text AS rows FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = ANY ($1)`,
    [schemas],
  );
  const digests: TableDigest[] = [];
  let done = 0;
  for (const shape of shapes) {
    signal.throwIfAborted();
    const digest = await digestTable(client, shape);
    digests.push(digest);
    done += digest.all.rows;
    onProgress('checksums', done, Math.max(done, Number(rows[0]!.rows)));
  }
  return digests;
}

async function copyTables(
  client: pg.Client,
  shapes: readonly TableShape[],
  digests: readonly TableDigest[],
  options: BackupOptions & { folder: string; files: Map<string, FileDigest>; encoding: string },
): Promise<string[]> {
  const { folder, files, encoding, signal } = options;
  const total = digests.reduce((sum, { all }) => sum + all.rows, 0);
  const names: string[] = [];
  let done = 0;
  await mkdir(join(folder, 'data'), { mode: 0o700 });
  for (const [at, shape] of shapes.entries()) {
    await reach?.('backup_table.before');
    const name = `data/${String(at + 1).padStart(4, '0')}.copy.gz`;
    const before = done;
    const file = await copyOut(client, shape, join(folder, name), {
      encoding,
      signal,
      onRows: (rows) => options.onProgress('copying', before + rows, total),
    });
    if (file.rows !== digests[at]!.all.rows)
      throw new CrosswalkError(
        'backup_invalid.miscounted',
        `${shape.schema}.${shape.name}: ${file.rows} rows were written, ${digests[at]!.all.rows} counted`,
      );
    done += file.rows;
    files.set(name, file);
    names.push(name);
  }
  return names;
}

/** Current state of the sequences: a snapshot does not include them, and they only grow. */
async function readSequences(client: pg.Client, schemas: readonly string[]): Promise<Manifest['sequences']> {
  const { rows: found } = await client.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND n.nspname = ANY ($1)
       AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e') ORDER BY 1, 2`,
    [schemas],
  );
  const sequences: Manifest['sequences'] = [];
  for (const { schema, name } of found) {
    const { rows } = await client.query<{ last: string; called: string }>(
      `SELECT last_value::text AS last, is_called::text AS called FROM ${quoteTable(schema, name)}`,
    );
    sequences.push({ schema, name, lastValue: rows[0]!.last, isCalled: rows[0]!.called === 'true' });
  }
  return sequences;
}

/** Notes for operators on what the backup does not hold. */
async function readNotes(client: pg.Client, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ objects: string; views: string }>(
    `SELECT (SELECT count(*) FROM pg_largeobject_metadata)::text AS objects,
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' AND n.nspname = ANY ($1))::text AS views`,
    [schemas],
  );
  const { objects, views } = rows[0]!;
  return [
    ...(objects === '0' ? [] : [`${objects} large objects of the database are not in this backup`]),
    ...(views === '0' ? [] : [`${views} materialised views are refreshed when it is restored`]),
  ];
}
