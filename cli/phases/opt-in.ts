import type pg from 'pg';
import { type Check, checksOf } from '../../monitor/checks.ts';
import { evaluate } from '../commands/gate.ts';
import { type Direction, nothingToDo, type Phase, type PhaseRun } from './phase.ts';

const LIMITS = { maxLagSeconds: 30, verifiedWithin: 86_400 };

const shown: Omit<Direction, 'check'> = {
  plan: async () => nothingToDo,
  count: async () => ({}),
  work: async () => ({}),
  confirm: async () => [],
  asks: false,
};

/** Tenants begin to see the new schema: a decision of operators, for each tenant, behind a gate. */
export const optIn: Phase = {
  name: 'opt-in',
  summary: 'shows the gate that `crosswalk stage set` asks before a tenant sees more; raises nothing itself',
  rollbackSummary:
    'shows which tenants see the new schema; `crosswalk stage set all 0` takes it from all of them, at once',
  forward: { ...shown, check: showGate },
  back: { ...shown, check: showStages },
};

async function showGate({ context, target }: PhaseRun): Promise<Check[]> {
  const { ok, warning } = checksOf('pipeline');
  const { verdict, lines } = await evaluate(context, target, null, LIMITS);
  return [
    ...lines.map(({ name, state, what, next }) =>
      state === 'no-go' ? warning(name, what, next ?? 'See docs/operations.md.') : ok(name, what),
    ),
    verdict === 'go'
      ? ok('gate', 'go: `crosswalk stage set <tenant> <stage> --by <name>` raises a stage')
      : warning('gate', 'No-go for all tenants together', 'One alone may be go: `crosswalk gate <tenant>`.'),
  ];
}

async function showStages({ target }: PhaseRun): Promise<Check[]> {
  return [await checkStages(target, 'warning')];
}

/** Checks whether all tenants are at stage 0, so that none sees the new schema. */
export async function checkStages(target: pg.ClientBase, otherwise: 'warning' | 'failing'): Promise<Check> {
  const checks = checksOf('target');
  const { rows: found } = await target.query<{ name: string | null }>(
    `SELECT to_regclass('crosswalk.stage_log')::text AS name`,
  );
  if (found[0]!.name === null) return checks.ok('stages', 'there are none yet');
  const { rows } = await target.query<{ tenant: string; stage: string }>(
    `SELECT coalesce(tenant_id, 'all others') AS tenant, crosswalk.current_stage(tenant_id)::text AS stage FROM (SELECT DISTINCT tenant_id FROM crosswalk.stage_log) AS t
     WHERE crosswalk.current_stage(tenant_id) > 0 ORDER BY 1`,
  );
  return rows.length === 0
    ? checks.ok('stages', 'every tenant is at stage 0')
    : checks[otherwise](
        'stages',
        `${rows.map(({ tenant, stage }) => `${tenant} at stage ${stage}`).join(', ')}`,
        'Run `crosswalk stage set all 0 --by <name> --reason "rollback"`: lowering needs no gate.',
      );
}
