import type pg from 'pg';
import type { StoredGate } from './gate.ts';
import { toEvidence } from './gate.ts';

/** An entry of the log. `tenant` null: all of them. Times are PostgreSQL text, UTC. */
export interface StageEntry {
  readonly number: string;
  readonly tenant: string | null;
  readonly stage: number;
  readonly previous: number;
  readonly setBy: string;
  /** The login that did it. */
  readonly role: string;
  readonly at: string;
  readonly reason: string | null;
  readonly forced: boolean;
  readonly gateId: string | null;
}

const COLUMNS = `number::text, tenant_id AS tenant, stage::text, previous::text, set_by AS "setBy", role, at::text, reason, forced::text, gate_id::text AS "gateId"`;

type Row = { [K in keyof StageEntry]: StageEntry[K] extends number | boolean ? string : StageEntry[K] };

function toEntry({ stage, previous, forced, ...row }: Row): StageEntry {
  return { ...row, stage: Number(stage), previous: Number(previous), forced: forced === 'true' };
}

/** The stages of all tenants: the current entry of each tenant that has one newer than the last entry for all, and the stage of all others with its entry (null before the first). */
export interface Stages {
  readonly others: { readonly stage: number; readonly entry: StageEntry | null };
  readonly tenants: readonly StageEntry[];
}

export async function readStages(client: pg.ClientBase): Promise<Stages> {
  const { rows } = await client.query<Row>(
    `SELECT DISTINCT ON (l.tenant_id) ${COLUMNS} FROM crosswalk.stage_log l
     WHERE l.tenant_id IS NULL OR l.number > coalesce((SELECT max(number) FROM crosswalk.stage_log WHERE tenant_id IS NULL), 0) ORDER BY l.tenant_id, l.number DESC`,
  );
  const entries = rows.map(toEntry);
  const entry = entries.find(({ tenant }) => tenant === null) ?? null;
  return {
    others: { stage: entry?.stage ?? 0, entry },
    tenants: entries.filter(({ tenant }) => tenant !== null),
  };
}

/** The stage of one tenant and the entry that sets it; with null, of all others. */
export async function readStage(
  client: pg.ClientBase,
  tenant: string | null,
): Promise<{ stage: number; entry: StageEntry | null }> {
  const { others, tenants } = await readStages(client);
  const entry = tenants.find((candidate) => candidate.tenant === tenant);
  return entry === undefined ? others : { stage: entry.stage, entry };
}

/** Every entry that concerns a tenant, or every entry, oldest first. */
export async function readHistory(client: pg.ClientBase, tenant: string | null): Promise<StageEntry[]> {
  const { rows } = await client.query<Row>(
    `SELECT ${COLUMNS} FROM crosswalk.stage_log l WHERE $1::text IS NULL OR tenant_id IS NULL OR tenant_id = $1 ORDER BY l.number`,
    [tenant],
  );
  return rows.map(toEntry);
}

/** What setting a stage would do. `raises` and `lowers`: tenants with an entry of their own that go up or down with it; `others`: what happens to all that have none. */
export interface StageChange {
  readonly tenant: string | null;
  readonly stage: number;
  /** Null if an entry for one tenant leaves the others unchanged. */
  readonly others: { readonly from: number } | null;
  readonly raises: readonly { readonly tenant: string; readonly from: number }[];
  readonly lowers: readonly { readonly tenant: string; readonly from: number }[];
}

export function toStageChange({ others, tenants }: Stages, tenant: string | null, stage: number): StageChange {
  const concerned =
    tenant === null
      ? tenants.map((entry) => ({ tenant: entry.tenant!, from: entry.stage }))
      : [{ tenant, from: tenants.find((entry) => entry.tenant === tenant)?.stage ?? others.stage }];
  return {
    tenant,
    stage,
    others: tenant === null && others.stage !== stage ? { from: others.stage } : null,
    raises: concerned.filter(({ from }) => from < stage),
    lowers: concerned.filter(({ from }) => from > stage),
  };
}

/** Whether anybody sees more afterwards: that needs a gate. */
export function isRaise({ others, raises, stage }: StageChange): boolean {
  return raises.length > 0 || (others !== null && others.from < stage);
}

/** Whether anything changes at all. */
export function isChange({ others, raises, lowers }: StageChange): boolean {
  return others !== null || raises.length + lowers.length > 0;
}

/** Adds an entry. The database refuses a raise without a passed gate of the last hour that is not forced (`stage_log_gate_check`). */
export async function addStage(
  client: pg.ClientBase,
  entry: {
    readonly tenant: string | null;
    readonly stage: number;
    readonly by: string;
    readonly reason: string | null;
    readonly forced: boolean;
    readonly gate: StoredGate | null;
  },
): Promise<StageEntry> {
  const { tenant, stage, by, reason, forced, gate } = entry;
  const { rows } = await client.query<Row>(
    `INSERT INTO crosswalk.stage_log AS l (tenant_id, stage, set_by, reason, forced, gate_id, evidence) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${COLUMNS}`,
    [tenant, stage, by, reason, forced, gate?.id ?? null, JSON.stringify(gate === null ? {} : toEvidence(gate))],
  );
  return toEntry(rows[0]!);
}
