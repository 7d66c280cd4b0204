// What the oracle cannot know from the legacy tables alone: what became of rows that are gone, computed from the log of changes.

import { quotes } from '../../pipelines/crm/projections/quotes.ts';
import type { Tenants } from '../../pipelines/crm/tenants.ts';
import { toE164 } from '../../pipelines/crm/values/phone.ts';
import type { SourceChange } from '../../projectors/source-change.ts';

const has = (cell: string | null | undefined): cell is string => cell != null && /[^\t\n\v\f\r \u00a0]/.test(cell);

/** tenant|identity of every entry that some contact opted out under, last it said so under that identity. */
export function expectedDncEntries(changes: readonly SourceChange[], tenants: Tenants): Set<string> {
  const said = new Map<string, Map<string, boolean>>();
  for (const { after, legacyKey, record } of changes) {
    if (record.topic !== 'legacy.contacts' || after === null) continue;
    const tenant = has(after.workspace_id) ? after.workspace_id : 'unassigned';
    const digits = after.phone_number?.replace(/[^0-9]/g, '') ?? '';
    const email = has(after.email) ? after.email.replace(/^[\s\u00a0]+|[\s\u00a0]+$/g, '').toLowerCase() : null;
    const identity = toE164(after.phone_number ?? null, tenants(tenant).country) ?? (digits !== '' ? digits : email);
    if (identity === null) continue;
    const entry = `${tenant}|${identity}`;
    if (!said.has(entry)) said.set(entry, new Map());
    said.get(entry)!.set(legacyKey, after.opted_out === 't');
  }
  return new Set([...said].filter(([, by]) => [...by.values()].includes(true)).map(([entry]) => entry));
}

/**
 * Where the quotes that ever named a customer went when they left it, by customer id; null stands for a deleted quote. Which of these a deleted customer
 * names depends on how changes were batched: a projector may see a quote leave and move on in one step.
 */
export function possibleSuccessors(
  changes: readonly SourceChange[],
  tenants: Tenants,
): Map<string, Set<string | null>> {
  const paths = new Map<string, (string | null)[]>();
  for (const { after, legacyKey, record } of changes) {
    if (record.topic !== 'legacy.quotes') continue;
    const customer = after === null ? null : quotes.map(after, tenants).contributions[0]!.mergeKey;
    const path = paths.get(legacyKey) ?? [];
    if (path.at(-1) !== customer || path.length === 0) path.push(customer);
    paths.set(legacyKey, path);
  }
  const successors = new Map<string, Set<string | null>>();
  for (const path of paths.values()) {
    for (const [at, customer] of path.entries()) {
      if (customer === null) continue;
      const known = successors.get(customer) ?? new Set();
      for (const later of path.slice(at + 1)) if (later !== customer) known.add(later);
      successors.set(customer, known);
    }
  }
  return successors;
}
