import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Pipeline, TenantHint } from '../../projectors/pipeline.ts';
import type { Tenants } from '../../projectors/projection.ts';
import { readConfiguration, readTenants, tenantsFileOf } from '../../projectors/read-tenants.ts';
import { pinHints } from '../../projectors/tenant-hints.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import { addressOf, connect } from '../../runtime/postgres.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { toCountText } from '../quantity-text.ts';

/**
 * Writes the tenant settings of the legacy database into the pinned configuration, `file`. Rows change with the next rebuild. Throws if the legacy database does not
 * answer, and `config_invalid` if the file cannot be written.
 */
export async function pinTenants(
  { pipeline, config }: Pick<CommandContext, 'pipeline' | 'config'>,
  options: { dryRun?: boolean; json?: boolean; file?: string },
): Promise<boolean> {
  const { file = tenantsFileOf(pipeline), dryRun = false } = options;
  const tenants = readTenants(pipeline, file);
  const url = config.legacyUrl();
  const hints = await readHints(url, config.legacySchema, pipeline, tenants).catch((error: unknown) => {
    throw toCrosswalkError(error, `legacy database ${addressOf(url)}`);
  });
  const isWritten = !dryRun && hints.length > 0;
  if (isWritten) write(file, pinHints(readConfiguration(file), hints));
  if (options.json) printJson({ file, written: isWritten, differences: hints });
  else for (const line of toPinLines(relative(process.cwd(), file), hints, dryRun)) print(line);
  return true;
}

async function readHints(
  url: string,
  schema: string,
  { tenants: source }: Pipeline,
  tenants: Tenants,
): Promise<readonly TenantHint[]> {
  if (source.hints === undefined) return [];
  const client = await connect(url, 'tenants');
  try {
    return await source.hints(client, schema, tenants);
  } finally {
    await client.end();
  }
}

function write(file: string, configuration: unknown): void {
  try {
    writeFileSync(file, `${JSON.stringify(configuration, null, 2)}\n`);
  } catch (error) {
    throw new CrosswalkError(
      'config_invalid.tenants_unwritable',
      `${file} cannot be written: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function toPinLines(file: string, hints: readonly TenantHint[], dryRun: boolean): string[] {
  if (hints.length === 0) return [`${file} has every setting that the legacy database names`];
  return [
    ...hints.map(({ tenantId, setting, legacy, pinned }) => `${tenantId}: ${setting} ${legacy}, was ${pinned}`),
    `${toCountText(hints.length)} settings ${dryRun ? 'would be' : 'are'} pinned in ${file}`,
    ...(dryRun
      ? []
      : [
          'Next: preview with `crosswalk rebuild all --dry-run`; commit the file and deploy; then `crosswalk rebuild all`.',
        ]),
  ];
}
