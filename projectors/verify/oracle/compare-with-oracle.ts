import type { Config } from '../../../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../../../runtime/errors.ts';
import type { Tenants } from '../../projection.ts';
import { toE164 } from '../../values/phone.ts';
import { type Difference, fetchPhones, runOracle } from './oracle.ts';

/**
 * Compares the live projected rows with what SQL that shares no code with the projections makes of the legacy rows: it finds what is wrong in a mapping, which recomputing with the same
 * mapping cannot. Exact while nothing changes. Only phones are read by the library that the projections use. `configured`: tenants with settings of their own. The owner of the target
 * creates and drops a scratch database. Throws a CrosswalkError.
 */
export async function compareWithOracle(
  config: Config,
  tenants: Tenants,
  configured: readonly string[],
): Promise<Difference[]> {
  const settings = ['', ...configured].map((tenantId) => ({ tenantId, ...tenants(tenantId) }));
  const countries = [...new Set(settings.map(({ country }) => country))];
  try {
    const phones = await fetchPhones(config.legacyUrl(), config.legacySchema);
    return await runOracle({
      legacyUrl: config.legacyUrl(),
      targetUrl: config.targetOwnerUrl(),
      legacySchema: config.legacySchema,
      tenants: settings,
      phones: countries.flatMap((country) => phones.map((raw) => ({ raw, country, e164: toE164(raw, country) }))),
    });
  } catch (error) {
    if ((error as { code?: unknown }).code === '42501')
      throw new CrosswalkError(
        'permission_denied',
        `The SQL oracle may not create its scratch database: ${(error as Error).message}`,
        'Give TARGET_OWNER_URL a role with CREATEDB that reads the new schema.',
        error,
      );
    throw toCrosswalkError(error, 'SQL oracle');
  }
}
