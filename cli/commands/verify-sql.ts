import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isOneDatabase, parseSqlChecks, toPsqlScript } from '../../projectors/verify/sql-checks.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { type CommandContext, printJson } from '../context.ts';

/** Prints the pipeline's checks as a script for psql; connects to no server. */
export async function printSqlChecks(
  { pipeline, config }: CommandContext,
  options: { readonly json?: boolean },
): Promise<boolean> {
  const { name, folder, sqlChecks } = pipeline;
  if (sqlChecks === undefined)
    throw new CrosswalkError('config_invalid.no_sql_checks', `Pipeline ${name} has no checks for psql`);
  const addresses = {
    ...{ legacyUrl: config.legacyUrl(), targetUrl: config.targetUrl() },
    ...{ legacySchema: config.legacySchema, targetSchema: config.targetSchema },
  };
  const script = toPsqlScript(readChecks(join(folder, sqlChecks)), name, addresses);
  if (options.json) printJson({ databases: isOneDatabase(addresses) ? 1 : 2, script });
  else process.stdout.write(script);
  return true;
}

function readChecks(file: string) {
  try {
    return parseSqlChecks(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CrosswalkError('config_invalid.config_fails', `${file}: ${(error as Error).message}`, { cause: error });
  }
}
