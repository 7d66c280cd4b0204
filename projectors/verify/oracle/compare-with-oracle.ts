import { join } from 'node:path';
import type { Config } from '../../../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../../../runtime/errors.ts';
import type { Pipeline } from '../../pipeline.ts';
import { statesOf, type Tenants } from '../../projection.ts';
import { targetTables } from '../../write/catalog.ts';
import { type Difference, runOracle } from './oracle.ts';

/**
 * Compares the live projected rows with the result of SQL that shares no code with the projections. This finds errors in a mapping, which recomputing
 * with the same mapping cannot. Exact while nothing changes. `configured`: tenants with settings of their own. The owner of the target creates and drops
 * a scratch database. Throws a CrosswalkError.
 */
export async function compareWithOracle(
  config: Config,
  pipeline: Pipeline,
  tenants: Tenants,
  configured: readonly string[],
): Promise<Difference[]> {
  const { oracle } = pipeline;
  if (oracle === undefined)
    throw new CrosswalkError('config_invalid.no_oracle', `The pipeline ${pipeline.name} has no oracle`);
  const states = statesOf(pipeline.projections);
  try {
    return await runOracle({
      legacyUrl: config.legacyUrl(),
      legacySchema: config.legacySchema,
      targetUrl: config.targetOwnerUrl(),
      targetSchema: config.targetSchema,
      sources: [...new Set(states.map(({ source }) => source))],
      projected: [...new Set(states.flatMap(targetTables))],
      aggregates: oracle.aggregates ?? [],
      sql: oracle.sql.map((file) => join(pipeline.folder, file)),
      prepare: async (scratch) => oracle.prepare?.(scratch, { tenants, configured }),
    });
  } catch (error) {
    if ((error as { code?: unknown }).code === '42501')
      throw new CrosswalkError(
        'permission_denied.scratch',
        `The SQL oracle may not create its scratch database: ${(error as Error).message}`,
        { cause: error },
      );
    throw toCrosswalkError(error, 'SQL oracle');
  }
}
