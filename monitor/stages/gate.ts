import type pg from 'pg';
import { statesOf } from '../../projectors/projection.ts';
import { toMappingText } from '../../projectors/verify/run-store.ts';
import { targetTables } from '../../projectors/write/catalog.ts';
import type { Config } from '../../runtime/config.ts';
import { type ConfirmationKind, type FactsOptions, readGateFacts } from './gate-facts.ts';
import {
  type GateLimits,
  type GateLine,
  type GateScope,
  type GateVerdict,
  toGateLines,
  toGateVerdict,
} from './gate-lines.ts';

/** A gate that was evaluated. `tenant` null: all of them. */
export interface Gate {
  readonly tenant: string | null;
  readonly verdict: GateVerdict;
  readonly limits: GateLimits;
  readonly lines: readonly GateLine[];
}

/** A gate as it is stored. `at`: PostgreSQL text, UTC. */
export interface StoredGate extends Gate {
  readonly id: string;
  readonly at: string;
}

/** Looks at everything that a gate rests on. Throws only where the target database does not answer. */
export async function evaluateGate(
  config: Config,
  target: pg.ClientBase,
  tenant: string | null,
  options: FactsOptions & { limits: GateLimits },
): Promise<Gate> {
  const facts = await readGateFacts(config, target, tenant, options);
  const lines = toGateLines(facts, toScope(options), options.limits, config);
  return { tenant, verdict: toGateVerdict(lines), limits: options.limits, lines };
}

/** Every projection is sampled; verified is what has a state to compare with: a history has none. */
function toScope(options: FactsOptions): GateScope {
  const states = statesOf(options.projections);
  const verified = states.flatMap(targetTables);
  return {
    projections: options.projections.map(({ name }) => name),
    tables: [...new Set([...verified, 'contribution'])],
    mapping: toMappingText(states),
  };
}

/** Stores a gate with its evidence. */
export async function storeGate(target: pg.ClientBase, gate: Gate, by: string | null): Promise<StoredGate> {
  const { rows } = await target.query<{ id: string; at: string }>(
    `INSERT INTO crosswalk.gate (tenant_id, verdict, evidence, evaluated_by) VALUES ($1, $2, $3, coalesce($4, session_user::text)) RETURNING id::text, at::text`,
    [gate.tenant, gate.verdict, JSON.stringify(toEvidence(gate)), by],
  );
  return { ...gate, ...rows[0]! };
}

/** What is kept of a gate, here and with the stage that rests on it. */
export function toEvidence({ verdict, limits, lines }: Gate) {
  return { verdict, limits, lines };
}

/** Stores that somebody vouches for something. Returns until when. */
export async function confirm(
  target: pg.ClientBase,
  confirmation: {
    readonly kind: ConfirmationKind;
    readonly tenant: string | null;
    readonly by: string;
    readonly note: string;
    readonly validForSeconds: number;
  },
): Promise<{ id: string; validUntil: string }> {
  const { kind, tenant, by, note, validForSeconds } = confirmation;
  const { rows } = await target.query<{ id: string; validUntil: string }>(
    `INSERT INTO crosswalk.confirmation (kind, tenant_id, confirmed_by, note, valid_until) VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))
     RETURNING id::text, valid_until::text AS "validUntil"`,
    [kind, tenant, by, note, validForSeconds],
  );
  return rows[0]!;
}
