import { toE164 } from '../../pipelines/crm/values/phone.ts';
import type { Difference } from '../../projectors/verify/oracle/oracle.ts';
import { fetchPhones, runOracle } from './crm.ts';

/** Where the new tables differ from what the SQL oracle makes of the legacy rows, all tenants being in the US. */
export async function compareRows(databases: {
  readonly legacyUrl: string;
  readonly targetUrl: string;
}): Promise<Difference[]> {
  const phones = await fetchPhones(databases.legacyUrl);
  return await runOracle({
    ...databases,
    phones: phones.map((raw) => ({ raw, country: 'US', e164: toE164(raw, 'US') })),
  });
}
