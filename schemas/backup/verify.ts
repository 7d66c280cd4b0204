import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import { reach } from '../../runtime/faults.ts';
import { quoteTable } from '../quote.ts';
import { copyIn } from './copy.ts';
import { type BackupOptions, openBackupSession, readSystemId } from './create.ts';
import { CATALOG, readDefinitions } from './definitions.ts';
import { digestTable, readTableShapes } from './digest.ts';
import { checkFolder } from './folder.ts';
import { type Definitions, type Manifest, parseDefinitions, parseManifest, type Statement } from './manifest.ts';
import { toSetval } from './restore-script.ts';

/** The result of restoring a backup elsewhere. `ok`: all rows, sequences and comparable definitions are the same. */
export interface BackupVerification {
  readonly ok: boolean;
  /** Why definitions were not compared, in words; null if they were. */
  readonly notCompared: string | null;
  readonly manifest: Manifest;
  /** SHA-256 of the backup's list of files. */
  readonly digest: string;
  readonly tables: readonly {
    readonly table: string;
    readonly expectedRows: number;
    readonly rows: number;
    readonly isEqual: boolean;
  }[];
  /** The differences, in words. */
  readonly differences: readonly string[];
  /** Owners, grants and policies of roles that do not exist there. */
  readonly skipped: readonly string[];
}

export type VerifyOptions = Omit<BackupOptions, 'schemas' | 'extra'>;

/**
 * Checks the files, restores them into the database of `options.url`, and compares row counts, checksums, sequences and
 * definitions. That database keeps the restored data: this is also how a backup is actually restored. Throws
 * `backup_invalid` for damaged files, and if the database is the one that was backed up, or holds something in these
 * schemas.
 */
export async function verifyBackup(dir: string, options: VerifyOptions): Promise<BackupVerification> {
  const { manifest, definitions, digest } = await readBackup(dir, (bytes) => options.onProgress('files', bytes, 0));
  const client = await openBackupSession(options.url);
  try {
    const major = await refuseUnfit(client, manifest);
    await client.query('SET synchronous_commit = off');
    const roles = await readRoles(client);
    const skipped = await runStatements(client, definitions.before, roles);
    await loadTables(client, dir, manifest, options);
    for (const sequence of manifest.sequences) await client.query(toSetval(sequence));
    skipped.push(...(await runStatements(client, definitions.after, roles)));
    const compared = await compareTables(client, manifest, options);
    const sequences = await compareSequences(client, manifest);
    const { notCompared, differences: ofDefinitions } = await compareDefinitions(
      client,
      { manifest, definitions, skipped, major },
      options,
    );
    const differences = [...compared.differences, ...sequences, ...ofDefinitions];
    return {
      ok: differences.length === 0,
      notCompared,
      manifest,
      digest,
      tables: compared.tables,
      differences,
      skipped: skipped.map(({ kind, name }) => `${kind} ${name}`),
    };
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Reads a backup after checking that its files are unchanged. */
export async function readBackup(
  dir: string,
  onBytes: (bytes: number) => void,
): Promise<{ manifest: Manifest; definitions: Definitions; digest: string }> {
  const digest = await checkFolder(dir, onBytes);
  return {
    digest,
    manifest: parseManifest(await readFile(join(dir, 'manifest.json'), 'utf8')),
    definitions: parseDefinitions(await readFile(join(dir, 'definitions.json'), 'utf8')),
  };
}

/**
 * Checks that the database for the comparison is not the one that was backed up, and is empty. Returns the major
 * version of the server.
 */
async function refuseUnfit(client: pg.Client, manifest: Manifest): Promise<number> {
  const { rows } = await client.query<Record<'database' | 'objects', string>>(
    `SELECT current_database()::text AS database,
       (SELECT count(*) FROM pg_depend p JOIN pg_namespace n ON p.refclassid = 'pg_namespace'::regclass AND n.oid = p.refobjid
        WHERE n.nspname = ANY ($1) AND p.classid <> 'pg_default_acl'::regclass)::text AS objects`,
    [manifest.schemas],
  );
  const { database, objects } = rows[0]!;
  const { server } = manifest;
  if (server.systemId !== '' && (await readSystemId(client)) === server.systemId && database === server.database)
    throw new CrosswalkError(
      'backup_invalid.same_database',
      `Database ${database} is the one that this backup was taken of`,
    );
  if (objects !== '0')
    throw new CrosswalkError(
      'backup_invalid.database_not_empty',
      `Database ${database} holds something in schema ${manifest.schemas.join(' or ')} already`,
    );
  return await refuseUnfitServer(client, manifest);
}

/**
 * Throws `backup_invalid` if a backup cannot be restored into this database, whatever it holds. Returns the major
 * version of the server.
 */
export async function refuseUnfitServer(client: pg.Client, { server }: Manifest): Promise<number> {
  const { rows } = await client.query<Record<'number' | 'database' | 'encoding' | 'version', string>>(
    `SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS version, current_database()::text AS database, pg_encoding_to_char(encoding)::text AS encoding
     FROM pg_database WHERE datname = current_database()`,
  );
  const { number, version, database, encoding } = rows[0]!;
  if (Number(number) < server.major * 10_000)
    throw new CrosswalkError(
      'backup_invalid.older_server',
      `The server has version ${version}, the backup is of ${server.version}`,
    );
  if (encoding !== server.encoding)
    throw new CrosswalkError(
      'backup_invalid.encoding',
      `Database ${database} has the encoding ${encoding}, the backup is in ${server.encoding}`,
      { encoding: server.encoding },
    );
  return Math.floor(Number(number) / 10_000);
}

export async function readRoles(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>('SELECT rolname AS name FROM pg_roles');
  return new Set(rows.map(({ name }) => name));
}

const isAboutRoles = ({ kind, name }: Statement) =>
  ['owner', 'grant', 'policy'].includes(kind) || (kind === 'pg_dump' && name.startsWith('policy '));

/**
 * Runs definitions in order; returns those skipped because they name missing roles, or an owner to whom this role may
 * not assign objects. In a transaction, only the failed statement is rolled back.
 */
export async function runStatements(
  client: pg.Client,
  statements: readonly Statement[],
  roles: ReadonlySet<string>,
  isInTransaction = false,
): Promise<Statement[]> {
  const skipped: Statement[] = [];
  for (const statement of statements) {
    if (statement.roles.some((role) => !roles.has(role))) {
      skipped.push(statement);
      continue;
    }
    const mayFail = isInTransaction && isAboutRoles(statement);
    try {
      if (mayFail) await client.query('SAVEPOINT statement');
      await client.query(statement.sql);
      if (mayFail) await client.query('RELEASE SAVEPOINT statement');
    } catch (error) {
      // undefined_object, insufficient_privilege
      if (isAboutRoles(statement) && ['42704', '42501'].includes(String((error as { code?: string }).code))) {
        if (mayFail) await client.query('ROLLBACK TO SAVEPOINT statement');
        skipped.push(statement);
      } else
        throw new CrosswalkError(
          isInTransaction ? 'backup_invalid.not_restored' : 'backup_invalid.half_restored',
          `Restoring ${statement.kind} ${statement.name}: ${(error as Error).message}`,
          { cause: error },
        );
    }
  }
  return skipped;
}

export async function loadTables(
  client: pg.Client,
  dir: string,
  manifest: Manifest,
  options: VerifyOptions,
): Promise<void> {
  const total = manifest.tables.reduce((sum, { all }) => sum + all.rows, 0);
  let done = 0;
  for (const { file, all, ...table } of manifest.tables) {
    await reach?.('restore_table.before');
    const before = done;
    await copyIn(client, { ...table, irreplaceable: null }, join(dir, file), {
      encoding: manifest.server.encoding,
      signal: options.signal,
      onRows: (rows) => options.onProgress('loading', before + rows, total),
    });
    done += all.rows;
  }
}

export async function compareTables(client: pg.Client, manifest: Manifest, { signal, onProgress }: VerifyOptions) {
  const shapes = await readTableShapes(client, manifest.schemas);
  const total = manifest.tables.reduce((sum, { all }) => sum + all.rows, 0);
  const tables: BackupVerification['tables'][number][] = [];
  const differences: string[] = [];
  let done = 0;
  for (const expected of manifest.tables) {
    signal.throwIfAborted();
    const table = `${expected.schema}.${expected.name}`;
    const shape = shapes.find(({ schema, name }) => schema === expected.schema && name === expected.name);
    if (shape === undefined) {
      differences.push(`${table} is missing`);
      tables.push({ table, expectedRows: expected.all.rows, rows: 0, isEqual: false });
      continue;
    }
    const { all } = await digestTable(client, shape);
    const isEqual = all.rows === expected.all.rows && all.checksum === expected.all.checksum;
    tables.push({ table, expectedRows: expected.all.rows, rows: all.rows, isEqual });
    if (!isEqual)
      differences.push(
        all.rows === expected.all.rows
          ? `${table}: ${all.rows} rows, but not the same`
          : `${table}: ${all.rows} rows instead of ${expected.all.rows}`,
      );
    done += expected.all.rows;
    onProgress('comparing', done, total);
  }
  return { tables, differences };
}

export async function compareSequences(client: pg.Client, manifest: Manifest): Promise<string[]> {
  const differences: string[] = [];
  for (const { schema, name, lastValue, isCalled } of manifest.sequences) {
    const { rows } = await client.query<{ same: string }>(
      `SELECT (last_value::text = $1 AND is_called::text = $2)::text AS same FROM ${quoteTable(schema, name)}`,
      [lastValue, String(isCalled)],
    );
    if (rows[0]?.same !== 'true') differences.push(`sequence ${schema}.${name} is not where it was`);
  }
  return differences;
}

/** A restored backup: its manifest and definitions, the skipped statements, and the major version of the server. */
export interface Restored {
  readonly manifest: Manifest;
  readonly definitions: Definitions;
  readonly skipped: readonly Statement[];
  readonly major: number;
}

/**
 * Reads the definitions of a restored and committed backup in the same way as those of the backup were read, and
 * compares them.
 */
export async function compareDefinitions(
  client: pg.Client,
  { manifest, definitions: expected, skipped, major }: Restored,
  options: VerifyOptions,
): Promise<Pick<BackupVerification, 'notCompared' | 'differences'>> {
  if (major !== manifest.server.major)
    return {
      notCompared: `the backup is of a server of version ${manifest.server.major}, this one has ${major}, and writes them in words of its own`,
      differences: [],
    };
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const { rows } = await client.query<{ snapshot: string }>('SELECT pg_export_snapshot() AS snapshot');
  const { url, env, signal } = options;
  const source = { url, env, signal, major: manifest.server.major, snapshot: rows[0]!.snapshot };
  const found = await readDefinitions(client, source, manifest.schemas, manifest.definedBy === CATALOG);
  await client.query('COMMIT');
  if (found.definedBy !== manifest.definedBy)
    return {
      notCompared: `${manifest.definedBy} wrote those of the backup, and this machine has ${found.definedBy === CATALOG ? 'no pg_dump of that version' : found.definedBy}`,
      differences: [],
    };
  const left = new Set(skipped);
  const isCompared = (statement: Statement) =>
    !left.has(statement) && (left.size === 0 || !['owner', 'grant'].includes(statement.kind));
  const textOf = ({ kind, name, sql }: Statement) => `${kind} ${name}\n${sql}`;
  const before = new Map([...expected.before, ...expected.after].filter(isCompared).map((one) => [textOf(one), one]));
  const now = new Map(
    [...found.definitions.before, ...found.definitions.after].filter(isCompared).map((one) => [textOf(one), one]),
  );
  const lacking = [...before].filter(([text]) => !now.has(text)).map(([, { kind, name }]) => `${kind} ${name}`);
  const extra = [...now].filter(([text]) => !before.has(text)).map(([, { kind, name }]) => `${kind} ${name}`);
  return {
    notCompared: null,
    differences: [...new Set([...lacking, ...extra])].map((what) => `${what} is not defined as it was`),
  };
}
