import { toE164 } from '../../projectors/values/phone.ts';
import { type Difference, fetchPhones, runOracle } from '../../projectors/verify/oracle/oracle.ts';

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
