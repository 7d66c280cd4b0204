import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import { addressOf } from '../../runtime/postgres.ts';
import { ensurePhaseLog } from '../../schemas/phase-log.ts';
import { type BackupRun, restoreElsewhere, takeBackup } from '../backup-run.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { openOwner } from '../phases/open-run.ts';
import { createProgress } from '../progress.ts';
import { toCountText, toTableLines } from '../quantity-text.ts';
import { toRestoreAddress } from '../restore-address.ts';

/** `legacy` means the schema of the legacy tables, in their database; every other name is a schema of the target database. */
const LEGACY = 'legacy';

async function withLog<T>(context: CommandContext, isJson: boolean, work: (run: BackupRun) => Promise<T>): Promise<T> {
  const log = await openOwner(context, 'target');
  try {
    await ensurePhaseLog(log);
    return await work({
      log,
      runId: randomUUID(),
      env: context.env,
      signal: context.signal,
      say: (line) => (isJson ? undefined : print(line)),
      progress: (label, total) =>
        isJson
          ? { update: () => undefined, close: () => undefined }
          : createProgress({
              label,
              total,
              isTerminal: context.isTerminal,
              write: (text) => process.stdout.write(text),
            }),
    });
  } finally {
    await log.end().catch(() => undefined);
  }
}

/** Writes a backup of some schemas into a new folder. */
export async function create(
  context: CommandContext,
  folder: string,
  options: { readonly schema?: readonly string[]; readonly json?: boolean },
): Promise<boolean> {
  const { config } = context;
  const dir = resolve(folder);
  return await withLog(context, options.json === true, async (run) => {
    const source = await toSource(run.log, options.schema ?? [], config);
    const { manifest, digest } = await takeBackup(run, dir, source);
    if (options.json) printJson({ dir, digest, manifest });
    else {
      const rows = manifest.tables.reduce((sum, { all }) => sum + all.rows, 0);
      print(
        `${dir}: ${toCountText(manifest.tables.length)} tables, ${toCountText(rows)} rows of ${manifest.schemas.join(', ')} as of ${manifest.takenAt}, log at ${manifest.lsn}; definitions by ${manifest.definedBy}`,
      );
      for (const note of manifest.notes) print(`note: ${note}`);
      print(`next: crosswalk backup verify ${folder}`);
    }
    return true;
  });
}

async function toSource(
  target: pg.Client,
  schemas: readonly string[],
  config: CommandContext['config'],
): Promise<{ url: string; schemas: string[] }> {
  if (schemas.includes(LEGACY)) {
    if (schemas.length > 1)
      throw new CrosswalkError('config_invalid.backup_scope', 'A backup is of one database, in one snapshot');
    return { url: config.legacyOwnerUrl(), schemas: [config.legacySchema] };
  }
  const { rows } = await target.query<{ name: string }>(
    'SELECT s AS name FROM unnest($1::text[]) AS s WHERE to_regnamespace(quote_ident(s)) IS NOT NULL',
    [[config.targetSchema, 'crosswalk']],
  );
  return { url: config.targetOwnerUrl(), schemas: schemas.length > 0 ? [...schemas] : rows.map(({ name }) => name) };
}

/** Restores a backup into an empty database and compares. Returns whether everything is equal. */
export async function verify(
  context: CommandContext,
  folder: string,
  options: { readonly into?: string; readonly json?: boolean },
): Promise<boolean> {
  const into = toRestoreAddress('--into', options.into, context.config);
  const dir = resolve(folder);
  return await withLog(context, options.json === true, async (run) => {
    const result = await restoreElsewhere(run, dir, into, context.config.targetOwnerUrl());
    const { ok, notCompared, tables, differences, skipped, manifest, digest } = result;
    if (options.json) printJson({ ok, notCompared, dir, digest, tables, differences, skipped });
    else {
      for (const line of toTableLines(
        [
          ['table', 'expected', 'restored', ''],
          ...tables.map(({ table, expectedRows, rows, isEqual }) => [
            table,
            toCountText(expectedRows),
            toCountText(rows),
            isEqual ? 'equal' : 'NOT EQUAL',
          ]),
        ],
        [1, 2],
      ))
        print(line);
      for (const difference of differences) print(`NOT EQUAL: ${difference}`);
      for (const what of skipped) print(`not restored, because its role is missing: ${what}`);
      if (notCompared !== null) print(`definitions were not compared: ${notCompared}`);
      const where = into === null ? 'a database of its own, dropped again' : addressOf(into);
      print(
        ok
          ? `the backup of ${manifest.takenAt} is complete: restored into ${where}, every table${notCompared === null ? ', sequence and definition' : ' and sequence'} is as it was`
          : 'the backup is NOT what was backed up',
      );
    }
    return ok;
  });
}
