import { readdirSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { toCrosswalkError } from '../../runtime/errors.ts';
import { addressOf, connect, sourceOptions } from '../../runtime/postgres.ts';
import { readLegacyCatalog } from '../../scaffold/catalog.ts';
import { type Introspection, introspect } from '../../scaffold/introspection.ts';
import type { LegacyCatalog } from '../../scaffold/legacy-table.ts';
import { toTsText } from '../../scaffold/names.ts';
import { findExisting, writeFiles } from '../../scaffold/write-files.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { toCountText } from '../quantity-text.ts';

export interface IntrospectOptions {
  readonly out: string;
  readonly schema: string;
  readonly targetSchema?: string;
  readonly tenant: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/**
 * Writes the first files of a pipeline for legacy tables: types of their rows, projections that copy them, and SQL of their new tables. Reads only the catalog. Returns
 * false if a dry run finds that the files cannot be written. Throws `table_missing`, and `config_invalid` if a file already exists; then nothing is written.
 */
export async function introspectTables(
  { config, pipeline }: Pick<CommandContext, 'config' | 'pipeline'>,
  tables: readonly string[],
  options: IntrospectOptions,
): Promise<boolean> {
  const url = config.legacyUrl();
  const folder = resolve(options.out);
  const catalog = await readCatalog(url, options.schema, tables).catch((error: unknown) => {
    throw toCrosswalkError(error, `legacy database ${addressOf(url)}`);
  });
  const made = introspect(catalog, {
    targetSchema: options.targetSchema ?? (isShipped(pipeline) ? 'app' : pipeline.targetSchema),
    tenantColumn: options.tenant,
    firstMigration: nextMigration(join(folder, 'migrations')),
  });
  const existing = options.dryRun ? findExisting(folder, made.files) : [];
  if (!options.dryRun) writeFiles(folder, made.files);
  if (options.json)
    printJson({
      folder,
      written: options.dryRun !== true,
      files: made.files.map(({ path }) => path),
      existing,
      tables: made.tables,
    });
  else for (const line of toLines(made, relative(process.cwd(), folder) || '.', existing, options)) print(line);
  return existing.length === 0;
}

/** A shipped pipeline is in use only while the user has no own one. */
function isShipped({ folder }: CommandContext['pipeline']): boolean {
  return folder.startsWith(join(import.meta.dirname, '../../pipelines'));
}

async function readCatalog(url: string, schema: string, tables: readonly string[]): Promise<LegacyCatalog> {
  const client = await connect(url, 'introspect', sourceOptions);
  try {
    return await readLegacyCatalog(client, schema, [...new Set(tables)]);
  } finally {
    await client.end();
  }
}

/** The number after the last migration of a folder; 1 if there is none. */
function nextMigration(folder: string): number {
  const isThere = statSync(folder, { throwIfNoEntry: false })?.isDirectory();
  const numbers = isThere ? readdirSync(folder).flatMap((file) => /^(\d{3})_/.exec(file)?.[1] ?? []) : [];
  return Math.max(0, ...numbers.map(Number)) + 1;
}

/** Output of `introspect`. */
export function toLines(
  { files, tables }: Introspection,
  folder: string,
  existing: readonly string[],
  { dryRun = false }: Pick<IntrospectOptions, 'dryRun'>,
): string[] {
  const projected = tables.flatMap(({ table, projection }) => (projection === null ? [] : [{ table, ...projection }]));
  return [
    ...files.map(({ path }) => `${folder}/${path}${existing.includes(path) ? '  exists already' : ''}`),
    '',
    ...tables.flatMap(({ table, notes }) => notes.map((note) => `note   ${table}: ${note}`)),
    existing.length > 0
      ? 'Nothing would be written: files exist already.'
      : `${toCountText(files.length)} files ${dryRun ? 'would be written' : 'are written'} for ${toCountText(tables.length)} tables.`,
    ...(projected.length === 0
      ? []
      : [
          'Next: list them in your pipeline.ts, and look through the migrations before `crosswalk migrate up`:',
          ...projected.map(({ constant, module }) => `  import { ${constant} } from '${module}';`),
          `  sources: [${projected.map(({ table }) => toTsText(table)).join(', ')}],`,
          `  projections: [${projected.map(({ constant }) => constant).join(', ')}],`,
        ]),
  ];
}
