import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { type CountryDifference, findCountryDifferences, pinCountries } from '../../projectors/pinned-countries.ts';
import type { Tenants } from '../../projectors/projection.ts';
import { readConfiguration, readTenants, TENANTS_FILE } from '../../projectors/read-tenants.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import { addressOf, connect } from '../../runtime/postgres.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { toCountText } from '../quantity-text.ts';

/**
 * Writes the countries of the legacy workspaces into the pinned configuration of tenants, `file`, from which phones are read. Rows change with the next rebuild. Throws where the
 * legacy database does not answer, and `config_invalid` where the file cannot be written.
 */
export async function pinTenants(
  { config }: Pick<CommandContext, 'config'>,
  options: { dryRun?: boolean; json?: boolean; file?: string },
): Promise<boolean> {
  const { file = TENANTS_FILE, dryRun = false } = options;
  const tenants = readTenants(file);
  const url = config.legacyUrl();
  const differences = await readDifferences(url, config.legacySchema, tenants).catch((error: unknown) => {
    throw toCrosswalkError(error, `legacy database ${addressOf(url)}`);
  });
  const isWritten = !dryRun && differences.length > 0;
  if (isWritten) write(file, pinCountries(readConfiguration(file), differences));
  if (options.json) printJson({ file, written: isWritten, differences });
  else for (const line of toPinLines(relative(process.cwd(), file), differences, dryRun)) print(line);
  return true;
}

async function readDifferences(url: string, schema: string, tenants: Tenants): Promise<CountryDifference[]> {
  const client = await connect(url, 'tenants');
  try {
    return await findCountryDifferences(client, schema, tenants);
  } finally {
    await client.end();
  }
}

function write(file: string, configuration: unknown): void {
  try {
    writeFileSync(file, `${JSON.stringify(configuration, null, 2)}\n`);
  } catch (error) {
    throw new CrosswalkError(
      'config_invalid',
      `${file} cannot be written: ${(error as Error).message}`,
      'Run this in a working copy of the project: the file belongs to the mapping, and is deployed with it.',
      error,
    );
  }
}

function toPinLines(file: string, differences: readonly CountryDifference[], dryRun: boolean): string[] {
  if (differences.length === 0) return [`${file} names the country of every workspace that has one`];
  return [
    ...differences.map(({ tenantId, workspace, pinned }) => `${tenantId}: ${workspace}, was ${pinned}`),
    `${toCountText(differences.length)} tenants ${dryRun ? 'would be' : 'are'} pinned in ${file}`,
    ...(dryRun
      ? []
      : [
          'Next: preview with `crosswalk rebuild contacts --dry-run` and `crosswalk rebuild quotes --dry-run`; commit the file and deploy; then `crosswalk rebuild contacts` and `crosswalk rebuild quotes`.',
        ]),
  ];
}
