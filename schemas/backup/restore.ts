import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import { quoteIdent } from '../quote.ts';
import { readFilledTables } from './coverage.ts';
import { openBackupSession } from './create.ts';
import type { Definitions, Manifest } from './manifest.ts';
import { toSetval } from './restore-script.ts';
import {
  type BackupVerification,
  compareDefinitions,
  compareSequences,
  compareTables,
  loadTables,
  readBackup,
  readRoles,
  refuseUnfitServer,
  runStatements,
  type VerifyOptions,
} from './verify.ts';

/** The effects of a restore on a database. */
export interface RestorePlan {
  readonly manifest: Manifest;
  readonly digest: string;
  readonly database: string;
  /**
   * Tables whose rows would be lost, `schema.table`; excludes tables that only record what was done to the database.
   */
  readonly filled: readonly string[];
  /** Contents of the schemas that no backup holds, in words. */
  readonly notes: readonly string[];
}

interface Reading extends RestorePlan {
  readonly definitions: Definitions;
  readonly major: number;
}

/** `isRestored` false: the restored data differed, and everything was rolled back. */
export type Restoration = BackupVerification & { readonly isRestored: boolean };

/** Tables that only record what was done to the database; losing their rows is harmless. */
const isMark = (table: string) => table === 'crosswalk.migration' || table === 'crosswalk.phase_log';

/**
 * Inspects a backup and its target database without changing anything. Throws `backup_invalid` for damaged files, for a
 * backup that does not hold exactly `schemas`, and for a server that cannot take it.
 */
export async function planRestore(
  dir: string,
  schemas: readonly string[],
  options: VerifyOptions,
): Promise<RestorePlan> {
  const client = await openBackupSession(options.url);
  try {
    return await read(client, dir, schemas, options);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function read(
  client: pg.Client,
  dir: string,
  schemas: readonly string[],
  options: VerifyOptions,
): Promise<Reading> {
  const { manifest, definitions, digest } = await readBackup(dir, (bytes) => options.onProgress('files', bytes, 0));
  const lacking = schemas.filter((schema) => !manifest.schemas.includes(schema));
  const foreign = manifest.schemas.filter((schema) => !schemas.includes(schema));
  if (lacking.length + foreign.length > 0)
    throw new CrosswalkError(
      'backup_invalid.not_whole',
      `The backup holds ${manifest.schemas.join(' and ')}, not ${schemas.join(' and ')}`,
    );
  const major = await refuseUnfitServer(client, manifest);
  const { rows } = await client.query<{ database: string; defaults: string }>(
    `SELECT current_database()::text AS database,
       (SELECT count(*) FROM pg_default_acl a JOIN pg_namespace n ON n.oid = a.defaclnamespace WHERE n.nspname = ANY ($1))::text AS defaults`,
    [schemas],
  );
  const { database, defaults } = rows[0]!;
  return {
    ...{ manifest, definitions, digest, major, database },
    filled: (await readFilledTables(client, schemas)).filter((table) => !isMark(table)),
    notes:
      defaults === '0' ? [] : [`default privileges in ${schemas.join(' and ')} are in no backup: give them once more`],
  };
}

/**
 * Replaces the contents of the schemas with a backup, in one transaction: data is compared before the commit and rolled
 * back if it differs, which leaves the database unchanged. Definitions are compared afterwards. `assertAllowed` throws
 * if data that would be lost must be kept. Throws `backup_invalid` if something outside of the schemas would be dropped
 * with them.
 */
export async function restoreBackup(
  dir: string,
  schemas: readonly string[],
  options: VerifyOptions & { readonly assertAllowed: (plan: RestorePlan) => void },
): Promise<Restoration> {
  const client = await openBackupSession(options.url);
  try {
    const reading = await read(client, dir, schemas, options);
    options.assertAllowed(reading);
    const { manifest, definitions, digest, major } = reading;
    await client.query('BEGIN');
    const outside = await readOutside(client, schemas);
    await client.query(`DROP SCHEMA IF EXISTS ${schemas.map(quoteIdent).join(', ')} CASCADE`);
    await refuseCascade(client, schemas, outside);
    const roles = await readRoles(client);
    const skipped = await runStatements(client, definitions.before, roles, true);
    await loadTables(client, dir, manifest, options);
    for (const sequence of manifest.sequences) await client.query(toSetval(sequence));
    skipped.push(...(await runStatements(client, definitions.after, roles, true)));
    const compared = await compareTables(client, manifest, options);
    const differences = [...compared.differences, ...(await compareSequences(client, manifest))];
    const isRestored = differences.length === 0;
    await client.query(isRestored ? 'COMMIT' : 'ROLLBACK');
    const defined = isRestored
      ? await compareDefinitions(client, { manifest, definitions, skipped, major }, options)
      : { notCompared: null, differences: [] };
    return {
      ...{ manifest, digest, isRestored, tables: compared.tables, notCompared: defined.notCompared },
      ok: isRestored && defined.differences.length === 0,
      differences: [...differences, ...defined.differences],
      skipped: skipped.map(({ kind, name }) => `${kind} ${name}`),
    };
  } finally {
    // Closing the session rolls back whatever was not committed.
    await client.end().catch(() => undefined);
  }
}

/**
 * Objects in other schemas, by catalog address, and each table that a publication names: dropping the schemas must not
 * drop these. Extensions in the schemas are in the backup.
 */
async function readOutside(client: pg.Client, schemas: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const { rows } = await client.query<{ id: string; what: string }>(OUTSIDE, [schemas]);
  return new Map(rows.map(({ id, what }) => [id, what]));
}

const OUTSIDE = `WITH other AS (SELECT oid FROM pg_namespace WHERE nspname <> ALL ($1) AND nspname !~ '^pg_(toast|temp)')
  SELECT 'r' || c.oid AS id, format('relation %s', c.oid::regclass) AS what FROM pg_class c JOIN other o ON o.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I')
  UNION ALL SELECT 'f' || f.oid, format('routine %s', f.oid::regprocedure) FROM pg_proc f JOIN other o ON o.oid = f.pronamespace WHERE o.oid <> 'pg_catalog'::regnamespace
  UNION ALL SELECT 'k' || k.oid, format('constraint %I of %s', k.conname, k.conrelid::regclass) FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN other o ON o.oid = c.relnamespace
  UNION ALL SELECT 'd' || d.oid, format('default of a column of %s', d.adrelid::regclass) FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid JOIN other o ON o.oid = c.relnamespace
  UNION ALL SELECT 'p' || p.oid, format('policy %I of %s', p.polname, p.polrelid::regclass) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN other o ON o.oid = c.relnamespace
  UNION ALL SELECT 't' || t.oid, format('trigger %I of %s', t.tgname, t.tgrelid::regclass) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN other o ON o.oid = c.relnamespace WHERE NOT t.tgisinternal
  UNION ALL SELECT 'a' || c.oid || '/' || a.attnum, format('column %I of %s', a.attname, c.oid::regclass) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN other o ON o.oid = c.relnamespace
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f') AND o.oid <> 'pg_catalog'::regnamespace
  UNION ALL SELECT 'b' || b.oid, format('table %s in publication %I', b.prrelid::regclass, u.pubname) FROM pg_publication_rel b JOIN pg_publication u ON u.oid = b.prpubid
  UNION ALL SELECT 'e' || e.oid, format('extension %I', e.extname) FROM pg_extension e JOIN other o ON o.oid = e.extnamespace`;

async function refuseCascade(
  client: pg.Client,
  schemas: readonly string[],
  before: ReadonlyMap<string, string>,
): Promise<void> {
  const after = await readOutside(client, schemas);
  const gone = [...before].filter(([id]) => !after.has(id)).map(([, what]) => what);
  if (gone.length === 0) return;
  throw new CrosswalkError(
    'backup_invalid.would_be_lost',
    `With ${schemas.join(' and ')} would go what no backup of them holds: ${gone.slice(0, 5).join(', ')}${gone.length > 5 ? `, and ${gone.length - 5} more` : ''}`,
  );
}
