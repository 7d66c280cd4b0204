import type pg from 'pg';
import { type ChangeDecoder, createChangeDecoder } from '../../projectors/decode.ts';
import type { LegacyRow, Projection, Tenants } from '../../projectors/projection.ts';
import { toTenantId } from '../../projectors/values/cell.ts';
import { toCrosswalkError } from '../../runtime/errors.ts';
import { parseBytea } from '../../runtime/postgres.ts';
import type { Registry } from '../../schemas/avro/registry.ts';

/** Changes without effect, from the view of one tenant: `own` belong to this tenant; `unknown` to a tenant that cannot be determined, and therefore count for every tenant. For all tenants, every change is `own`. */
export interface TenantCount {
  readonly own: number;
  readonly unknown: number;
}

/** The means to determine the tenant of a change. `registry` null: it cannot be determined. */
export interface TenantReading {
  readonly projections: readonly Projection[];
  readonly tenants: Tenants;
  readonly registry: Registry | null;
}

const PAGE = 500;
/** Maximum changes that are examined; the others count for every tenant. */
const MOST = 5000;

const SOURCES = {
  'dead letters': `crosswalk.dead_letter c WHERE c.resolved_at IS NULL`,
  parked: `crosswalk.parked_change c WHERE true`,
} as const;

/** Open dead letters, or parked changes, of a tenant; of all with `tenant` null. The tenant of a change is read from the recorded change itself: both its versions count. */
export async function countForTenant(
  client: pg.ClientBase,
  what: keyof typeof SOURCES,
  tenant: string | null,
  reading: TenantReading,
): Promise<TenantCount> {
  const { rows } = await client.query<{ total: string }>(`SELECT count(*)::text AS total FROM ${SOURCES[what]}`);
  const total = Number(rows[0]!.total);
  if (tenant === null || total === 0) return { own: total, unknown: 0 };
  if (reading.registry === null) return { own: 0, unknown: total };
  const decoders = new Map<string, ChangeDecoder>();
  let [own, unknown, seen, isReadable] = [0, 0, 0, true];
  for (let after: unknown[] = [null, null, null, null]; seen < MOST && isReadable; ) {
    const { rows: page } = await client.query<
      Record<'projection' | 'topic' | 'partition' | 'offset' | 'key', string> & { value: string | null }
    >(
      `SELECT c.projection, c.topic, c.partition::text, c.record_offset::text AS offset, c.record_key AS key, c.record_value AS value FROM ${SOURCES[what]}
         AND ($1::text IS NULL OR (c.projection, c.topic, c.partition, c.record_offset) > ($1, $2::text, $3::int, $4::bigint))
       ORDER BY c.projection, c.topic, c.partition, c.record_offset LIMIT ${PAGE}`,
      after,
    );
    for (const row of page) {
      const named = await readTenantsOf(row, reading, decoders);
      // Each further change would wait for the registry again.
      if (named === 'registry down') {
        isReadable = false;
        break;
      }
      if (named === null) unknown += 1;
      else if (named.has(tenant)) own += 1;
      seen += 1;
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) break;
    after = [last.projection, last.topic, last.partition, last.offset];
  }
  return { own, unknown: unknown + Math.max(0, total - seen) };
}

/** Tenants that a recorded change names; null if it names none, or is unreadable. */
async function readTenantsOf(
  row: Record<'projection' | 'topic' | 'partition' | 'offset' | 'key', string> & { value: string | null },
  { projections, tenants, registry }: TenantReading,
  decoders: Map<string, ChangeDecoder>,
): Promise<ReadonlySet<string> | null | 'registry down'> {
  const projection = projections.find(({ name }) => name === row.projection);
  if (projection === undefined || row.value === null || registry === null) return null;
  // Also if a column is missing that the projection now requires.
  const decoder = decoders.get(row.projection) ?? createChangeDecoder({ ...projection, requires: [] }, registry);
  decoders.set(row.projection, decoder);
  const record = { offset: BigInt(row.offset), key: parseBytea(row.key), value: parseBytea(row.value) };
  const changes = await decoder
    .decode(row.topic, Number(row.partition), [record])
    .catch((thrown: unknown) => (toCrosswalkError(thrown, '').code === 'server_down' ? null : []));
  if (changes === null) return 'registry down';
  const versions = changes.flatMap(({ before, after }) => [before, after]).filter((version) => version !== null);
  const named = versions.map((version) => toTenantsOf(projection, version, tenants));
  if (named.length === 0 || named.some((ids) => ids === null)) return null;
  return new Set(named.flatMap((ids) => [...ids!]));
}

/** The tenant that a legacy row names, if its projection declares the column; otherwise those of the rows that it implies. Null if the mapping throws, or implies no row with a tenant. */
export function toTenantsOf(projection: Projection, row: LegacyRow, tenants: Tenants): ReadonlySet<string> | null {
  if (projection.tenant !== undefined) return new Set([toTenantId(row[projection.tenant.column])]);
  try {
    const implied = projection.map(row, tenants);
    const state = projection.history?.stateOf(row, tenants);
    const cells = [
      ...Object.values(implied.rows).flatMap((rows) => rows.map((implying) => implying.tenant_id)),
      ...implied.contributions.map(({ data }) => data.tenant_id),
      state?.tenant_id,
    ];
    const ids = cells.filter((cell): cell is string => typeof cell === 'string');
    return ids.length === 0 ? null : new Set(ids);
  } catch {
    return null;
  }
}
