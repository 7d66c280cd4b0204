import { createHash } from 'node:crypto';
import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { connect } from '../runtime/postgres.ts';
import { holdingLock } from '../schemas/advisory-lock.ts';
import { toVerifiedBackup } from '../schemas/backup/coverage.ts';
import { type Backup, type BackupStep, createBackup } from '../schemas/backup/create.ts';
import type { Environment } from '../schemas/backup/pg-dump.ts';
import { type BackupVerification, verifyBackup } from '../schemas/backup/verify.ts';
import { appendEntry } from '../schemas/phase-log.ts';
import { quoteIdent } from '../schemas/quote.ts';

/** What taking and verifying a backup needs. `log`: a session on the database of the new schema, which holds the log of backups. */
export interface BackupRun {
  readonly log: pg.Client;
  readonly runId: string;
  readonly env: Environment;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  readonly progress: (label: string, total: number) => { update(done: number, total?: number): void; close(): void };
}

const LABELS: Readonly<Record<BackupStep, string>> = {
  checksums: 'checksums',
  copying: 'copying',
  files: 'files',
  loading: 'restoring',
  comparing: 'comparing',
};

/** Prints one line for each step. */
export function followSteps({ progress }: Pick<BackupRun, 'progress'>) {
  let current: { step: BackupStep; line: ReturnType<BackupRun['progress']> } | null = null;
  return {
    onProgress(step: BackupStep, done: number, total: number) {
      if (current?.step !== step) {
        current?.line.close();
        current = { step, line: progress(LABELS[step], total) };
      }
      current.line.update(done, total);
    },
    close: () => current?.line.close(),
  };
}

/** Takes a backup and records it in the log. */
export async function takeBackup(
  run: BackupRun,
  dir: string,
  source: {
    readonly url: string;
    readonly schemas: readonly string[];
    readonly extra?: Readonly<Record<string, string>>;
  },
): Promise<Backup> {
  const steps = followSteps(run);
  try {
    const backup = await createBackup(dir, {
      ...source,
      env: run.env,
      signal: run.signal,
      onProgress: steps.onProgress,
    });
    const { manifest, digest } = backup;
    await appendEntry(run.log, {
      ...{ runId: run.runId, phase: 'backup', action: 'backup taken', verdict: 'done' },
      detail: {
        dir,
        digest,
        database: manifest.server.database,
        schemas: manifest.schemas,
        tables: manifest.tables.length,
        takenAt: manifest.takenAt,
      },
    });
    return backup;
  } finally {
    steps.close();
  }
}

const LOCK = 'crosswalk.restore';

/**
 * Restores a backup into an empty database, compares, and records the result in the log. `into` null: creates a database on the server of `beside`, which is the database
 * with the log, and drops it afterwards. Its name is always the same, so only one run can restore into it at a time.
 */
export async function restoreElsewhere(
  run: BackupRun,
  dir: string,
  into: string | null,
  beside: string,
): Promise<BackupVerification> {
  if (into !== null) return await restoreInto(run, dir, into);
  const onWait = () => run.say('another backup of this database is being restored: waiting for its end');
  return await holdingLock(run.log, LOCK, { signal: run.signal, onWait }, async () => {
    const scratch = await createScratch(beside);
    try {
      return await restoreInto(run, dir, scratch.url);
    } finally {
      await scratch.drop();
    }
  });
}

async function restoreInto(run: BackupRun, dir: string, url: string): Promise<BackupVerification> {
  const steps = followSteps(run);
  try {
    const verification = await verifyBackup(dir, {
      url,
      env: run.env,
      signal: run.signal,
      onProgress: steps.onProgress,
    });
    const { manifest, digest, ok, notCompared, differences } = verification;
    await appendEntry(run.log, {
      ...{ runId: run.runId, phase: 'backup', action: 'backup verified', verdict: ok ? 'done' : 'failed' },
      detail: { ...toVerifiedBackup(dir, digest, manifest), notCompared, differences: differences.slice(0, 20) },
    });
    return verification;
  } finally {
    steps.close();
  }
}

const MARK = 'crosswalk: a backup is restored here to be compared; it may be dropped at any time';

/** Whether the role of this session may create databases. */
export async function mayCreateDatabases(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ may: string }>(
    'SELECT (rolsuper OR rolcreatedb)::text AS may FROM pg_roles WHERE rolname = current_user',
  );
  return rows[0]!.may === 'true';
}

/** Creates an empty database on the server of an address, with its encoding and locale. First drops the database of that name that a killed run left behind, if it carries the mark. */
async function createScratch(beside: string): Promise<{ url: string; drop(): Promise<void> }> {
  const client = await connect(beside, 'backup', '-c statement_timeout=0');
  try {
    const { rows } = await client.query<Record<'database' | 'settings', string>>(
      `SELECT d.datname AS database, format('ENCODING %L LC_COLLATE %L LC_CTYPE %L%s', pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
         CASE d.datlocprovider WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'))
           WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', to_jsonb(d) ->> 'datlocale') ELSE '' END) AS settings
       FROM pg_database d WHERE d.datname = current_database()`,
    );
    const { database, settings } = rows[0]!;
    const name = `crosswalk_restore_${createHash('sha256').update(database).digest('hex').slice(0, 12)}`;
    const drop = (client: pg.Client) => client.query(`DROP DATABASE IF EXISTS ${quoteIdent(name)} WITH (FORCE)`);
    const { rows: found } = await client.query<{ mark: string | null }>(
      `SELECT shobj_description(oid, 'pg_database') AS mark FROM pg_database WHERE datname = $1`,
      [name],
    );
    if (found.length > 0 && found[0]!.mark !== MARK)
      throw new CrosswalkError(
        'backup_invalid.unmarked_database',
        `There is a database ${name} already, and it is not marked as one that may be dropped`,
      );
    await drop(client);
    await client.query(`CREATE DATABASE ${quoteIdent(name)} TEMPLATE template0 ${settings}`);
    await client.query(`COMMENT ON DATABASE ${quoteIdent(name)} IS '${MARK}'`);
    const url = new URL(beside);
    url.pathname = `/${name}`;
    return {
      url: url.href,
      async drop() {
        const client = await connect(beside, 'backup');
        try {
          await drop(client);
        } finally {
          await client.end();
        }
      },
    };
  } finally {
    await client.end().catch(() => undefined);
  }
}
