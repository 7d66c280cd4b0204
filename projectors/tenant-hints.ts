import type { TenantHint } from './pipeline.ts';

/** Returns the tenant configuration with the values of the legacy database pinned, otherwise unchanged. */
export function pinHints(configuration: unknown, hints: readonly TenantHint[]): unknown {
  const { tenants = {}, ...rest } = configuration as { tenants?: Readonly<Record<string, object>> };
  const pinned: Record<string, object> = { ...tenants };
  for (const { tenantId, setting, legacy } of hints) pinned[tenantId] = { ...pinned[tenantId], [setting]: legacy };
  return { ...rest, tenants: pinned };
}
