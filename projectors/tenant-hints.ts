import type { TenantHint } from './pipeline.ts';

/** The configuration of tenants with what the legacy database names pinned; the rest of it as it is. */
export function pinHints(configuration: unknown, hints: readonly TenantHint[]): unknown {
  const { tenants = {}, ...rest } = configuration as { tenants?: Readonly<Record<string, object>> };
  const pinned: Record<string, object> = { ...tenants };
  for (const { tenantId, setting, legacy } of hints) pinned[tenantId] = { ...pinned[tenantId], [setting]: legacy };
  return { ...rest, tenants: pinned };
}
