import { type CaptureState, planCaptureUndo, readCaptureState } from '../../connectors/capture-state.ts';
import { findShortcomings } from '../../connectors/source-requirements.ts';
import { planSourceSetup } from '../../connectors/source-setup.ts';
import { captureOf, readSource } from '../../connectors/source-state.ts';
import { type Check, checksOf } from '../../monitor/checks.ts';
import { REPLICATION_ROLE } from '../../monitor/source-checks.ts';
import { inDdlTransaction, retryLocked } from '../../schemas/ddl-retry.ts';
import type { LogEntry } from '../../schemas/phase-log.ts';
import type { Counts, Outcome, Phase, PhasePlan, PhaseRun } from './phase.ts';

/** Prepares the legacy database for change data capture. */
export const capture: Phase = {
  name: 'capture',
  summary: 'sets the replica identity of the captured legacy tables, and makes the publication',
  rollbackSummary: "drops the connector's slot, and brings publication and replica identities back to what they were",
  forward: {
    check: checkForward,
    plan: async (run) => toPlan(run, await planSourceSetup(run.legacy, captureOf(run.context.config))),
    count,
    remember: async (run) => ({ state: await readState(run) }),
    work: async (run) => ({ ran: await runAll(run, () => planSourceSetup(run.legacy, captureOf(run.context.config))) }),
    confirm: confirmForward,
    asks: true,
  },
  back: {
    check: checkBack,
    plan: async (run) => toPlan(run, await planUndo(run)),
    count,
    work: async (run) => ({ ran: await runAll(run, () => planUndo(run)) }),
    confirm: async (run) => {
      const { ok, failing } = checksOf('source');
      const left = await planUndo(run);
      return [
        left.length === 0
          ? ok('capture', 'as it was before')
          : failing('capture', `Not as it was before: ${left.join('; ')}`, 'Run this rollback again.'),
      ];
    },
    asks: true,
  },
};

const capturedOf = ({ context: { config } }: PhaseRun) => ({ ...captureOf(config), slot: config.slot });

function readState(run: PhaseRun): Promise<CaptureState> {
  return readCaptureState(run.legacy, capturedOf(run));
}

/** Each statement is a transaction of its own and holds its lock only briefly. */
function toPlan({ options }: PhaseRun, statements: readonly string[]): PhasePlan {
  return {
    isNeeded: statements.length > 0,
    sections: statements.map((sql) => ({
      database: 'legacy',
      title: sql.replace(/ FOR TABLE .*|\(.*/s, ''),
      sql: isSlot(sql) ? `${sql};` : `BEGIN;\nSET LOCAL lock_timeout = ${options.lockTimeoutMs};\n${sql};\nCOMMIT;`,
    })),
    notes: [],
  };
}

/** Dropping a slot cannot be rolled back. */
const isSlot = (sql: string) => sql.includes('pg_drop_replication_slot');

/** Runs the remaining statements one by one; those done before a kill are not planned again. */
async function runAll(run: PhaseRun, plan: () => Promise<string[]>): Promise<string[]> {
  const { legacy, say } = run;
  const options = run.ddl('legacy');
  const statements = await plan();
  for (const sql of statements) {
    await retryLocked(legacy, sql.split(' ').slice(0, 3).join(' '), options, async () => {
      if (isSlot(sql)) await legacy.query(sql);
      else await inDdlTransaction(legacy, options.lockTimeoutMs, () => legacy.query(sql));
    });
    say(sql);
  }
  return statements;
}

async function checkForward(run: PhaseRun): Promise<Check[]> {
  const { ok, failing } = checksOf('source');
  const options = captureOf(run.context.config);
  const source = await readSource(run.legacy, options);
  const unmendable = findShortcomings(source, options).filter(({ sql }) => sql.length === 0);
  return unmendable.length === 0
    ? [ok('capture', 'the tables are there, with keys; nothing that their owner could not set')]
    : unmendable.map(({ what, remedy }) => failing('capture', what, remedy));
}

async function confirmForward(run: PhaseRun, { after }: Outcome): Promise<Check[]> {
  const { ok, failing } = checksOf('source');
  const options = captureOf(run.context.config);
  const left = findShortcomings(await readSource(run.legacy, options), options);
  const tables = after.captured?.tables ?? 0;
  return left.length === 0
    ? [ok('capture', `${tables} tables: replica identity and publication are as they must be`)]
    : left.map(({ what, remedy }) => failing('capture', what, remedy));
}

async function count(run: PhaseRun): Promise<Counts> {
  const { identities, publication, hasSlot } = await readState(run);
  const kinds = Object.values(identities);
  return {
    captured: {
      tables: kinds.length,
      full: kinds.filter(({ kind }) => kind === 'f').length,
      published: publication?.tables.length ?? 0,
      slots: hasSlot ? 1 : 0,
    },
  };
}

/** The previous state: for each table, and for the publication, the one recorded when it was first changed after the last rollback. */
export function stateBefore(
  entries: readonly Pick<LogEntry, 'phase' | 'action' | 'verdict' | 'detail'>[],
): CaptureState | null {
  const states: CaptureState[] = [];
  for (const { phase, action, verdict, detail } of entries) {
    if (phase !== 'capture') continue;
    if (action === 'rollback' && verdict === 'done') states.length = 0;
    const { state } = detail as { state?: CaptureState };
    if (action === 'run' && verdict === 'begun' && state !== undefined) states.push(state);
  }
  const [first] = states;
  if (first === undefined) return null;
  const identities = Object.assign(
    {},
    ...states.toReversed().map((state) => state.identities),
  ) as CaptureState['identities'];
  return { ...first, identities };
}

async function planUndo(run: PhaseRun): Promise<string[]> {
  const before = stateBefore(await run.entries());
  return before === null ? [] : planCaptureUndo(before, await readState(run), capturedOf(run));
}

async function checkBack(run: PhaseRun): Promise<Check[]> {
  const { ok, failing } = checksOf('source');
  const { slot } = run.context.config;
  if (stateBefore(await run.entries()) === null)
    return [ok('capture', 'this phase has changed nothing, or was rolled back already')];
  const { rows } = await run.legacy.query<Record<'active' | 'may', string | null>>(
    `SELECT (SELECT active_pid::text FROM pg_catalog.pg_replication_slots WHERE slot_name = $1) AS active,
       (SELECT (rolsuper OR rolreplication
          OR coalesce((SELECT pg_has_role(m.oid, 'MEMBER') FROM pg_catalog.pg_roles m WHERE m.rolname = $2), false))::text
        FROM pg_catalog.pg_roles WHERE rolname = current_user) AS may`,
    [slot, REPLICATION_ROLE],
  );
  const { active, may } = rows[0]!;
  const { hasSlot } = await readState(run);
  return [
    active === null
      ? ok('connector', 'nobody reads the slot')
      : failing('connector', `A connector reads slot ${slot} (pid ${active})`, 'Stop it first.'),
    !hasSlot || may === 'true'
      ? ok('rights', 'the slot, if there is one, can be dropped')
      : failing(
          'rights',
          `The owner's role may not drop slot ${slot}`,
          `Run as a superuser (on RDS, as a member of rds_superuser): ALTER ROLE … REPLICATION (GRANT rds_replication TO …), or SELECT pg_drop_replication_slot('${slot}').`,
        ),
  ];
}
