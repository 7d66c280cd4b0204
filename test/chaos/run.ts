// One chaos run: the pipeline under traffic and faults, then calm, then the verdict.
import { setTimeout as sleep } from 'node:timers/promises';
import { loadSample } from '../../pipelines/crm/sample/load.ts';
import { createRandom } from '../../pipelines/crm/sample/random.ts';
import { connect } from '../../runtime/postgres.ts';
import { createSecondSlot, startRecorder } from '../oracle/log-history.ts';
import { startApplication } from './application.ts';
import { faultKinds } from './fault-kinds.ts';
import { startFleet } from './fleet.ts';
import { judgeLog, judgeTables, type LogVerdict, type TableVerdict, untilApplied } from './judge.ts';
import { judgeLogRows } from './log-rows.ts';
import { createOperator } from './operator.ts';
import { createSchemaStorm } from './schema-changes.ts';
import { startStorm } from './storm.ts';
import { createUntilTold } from './told.ts';
import { openWorld } from './world.ts';

export interface ChaosPlan {
  readonly seed: string;
  readonly seconds: number;
  readonly changesPerSecond: number;
  readonly faultsPerMinute: number;
  /** Legacy contacts and quotes each, there before the start: their initial load is under attack too. */
  readonly rows: number;
  /** How often a fault is a schema change; the other kinds weigh 52 together. */
  readonly schemaWeight: number;
}

export interface ChaosResult {
  readonly plan: ChaosPlan;
  readonly faults: Readonly<Record<string, number>>;
  readonly log: LogVerdict;
  /** The legacy tables against the last events of their rows. */
  readonly logRows: TableVerdict;
  readonly tables: TableVerdict;
  /** Stops of the connector that schema changes explain, and resnapshots that an operator ran for them. */
  readonly stops: number;
  readonly resnapshots: number;
  /** Seconds from the last fault until everything was applied. */
  readonly catchUpSeconds: number;
  /** Processes that ended for no reason that a fault explains, and faults that the harness could not make. */
  readonly troubles: readonly string[];
  /** Processes that found themselves stalled and ended to be started again. */
  readonly stalls: number;
  readonly restarts: number;
  readonly isClean: boolean;
}

/** Time and counts, about every ten seconds. */
export type OnProgress = (line: string) => void;

const SLOT = 'history';
const MARK_EVERY_MS = 60_000;
const CATCH_UP_SECONDS = 900;

/** Runs the plan on servers of its own. Throws only what the harness itself could not do; until then everything that it started is ended. */
export async function runChaos(plan: ChaosPlan, signal: AbortSignal, onProgress: OnProgress): Promise<ChaosResult> {
  const world = await openWorld({
    CROSSWALK_HEARTBEAT_MS: '500',
    CROSSWALK_CHUNK_ROWS: '200',
    CROSSWALK_PARTITIONS: '6',
    LOG_LEVEL: 'info',
  });
  const closing: (() => Promise<unknown>)[] = [() => world.close()];
  try {
    const { legacyUrl } = world.direct;
    const { tables, legacySchema } = world.config;
    await loadSample(legacyUrl, { seed: plan.seed, contacts: plan.rows, quotes: plan.rows });
    const legacy = await connect(legacyUrl, 'history');
    await createSecondSlot(legacy, SLOT).finally(() => legacy.end());
    const recorder = await startRecorder({ url: legacyUrl, slot: SLOT, captured: { schema: legacySchema, tables } });
    closing.push(() => recorder.discard());
    const operator = createOperator(world.direct.env, onProgress);
    closing.push(() => operator.close());
    const fleet = startFleet(world.env, { connectors: 2, projectors: 3 }, world.dir, operator.takes, onProgress);
    closing.push(() => fleet.close());
    // The slot exists before the first change: the log holds them all.
    await fleet.untilStreaming();
    const application = startApplication(legacyUrl, plan.seed, plan.changesPerSecond);
    closing.push(() => application.stop());
    const troubles: string[] = [];
    const onTrouble = (trouble: string) => {
      troubles.push(trouble);
      onProgress(trouble);
    };
    const untilTold = createUntilTold(world);
    const schema = createSchemaStorm(legacyUrl, operator, { weight: plan.schemaWeight, untilTold, onTrouble });
    const kinds = [...faultKinds(world, fleet), ...(plan.schemaWeight > 0 ? schema.kinds : [])];
    const storm = startStorm(kinds, createRandom(plan.seed), plan.faultsPerMinute, (error) =>
      onTrouble(`a fault could not be made: ${error instanceof Error ? error.message : String(error)}`),
    );
    closing.push(() => storm.stop());

    const count = () => [...storm.struck.values()].reduce((sum, struck) => sum + struck, 0);
    const marks: bigint[] = [];
    const startMs = performance.now();
    for (let markedMs = startMs; performance.now() - startMs < plan.seconds * 1000; ) {
      const leftMs = plan.seconds * 1000 - (performance.now() - startMs);
      await sleep(Math.min(10_000, leftMs), undefined, { signal });
      if (performance.now() - markedMs > MARK_EVERY_MS) {
        marks.push(await recorder.mark());
        markedMs = performance.now();
      }
      const left = Math.max(0, Math.round(plan.seconds - (performance.now() - startMs) / 1000));
      onProgress(
        `${left} s left  ${application.changes()} changes  ${count()} faults  ${fleet.restarts()} restarts  ${fleet.troubles.length + troubles.length} troubles`,
      );
    }
    await storm.stop();
    await application.stop();
    await fleet.calm();
    onProgress('no more faults: waiting until all is applied');
    const calmMs = performance.now();
    await untilApplied(world, CATCH_UP_SECONDS).catch((error: Error) => troubles.push(error.message));
    const catchUpSeconds = (performance.now() - calmMs) / 1000;
    onProgress('comparing the legacy tables with the last events of their rows');
    const logRows = await judgeLogRows(world);
    await schema.tidy();
    await untilApplied(world, CATCH_UP_SECONDS).catch((error: Error) => troubles.push(error.message));
    onProgress('comparing the log with the history of the database, and every row of the new tables');
    const verdicts = await Promise.all([
      judgeTables(world),
      recorder.stop().then((history) => judgeLog(world, history, marks, schema.refused)),
    ]);
    const [tablesVerdict, log] = verdicts;
    const all = [...fleet.troubles, ...troubles];
    return {
      plan,
      faults: Object.fromEntries(storm.struck),
      log,
      logRows,
      tables: tablesVerdict,
      stops: operator.stops(),
      resnapshots: operator.resnapshots().length,
      catchUpSeconds,
      troubles: all,
      stalls: fleet.stalls(),
      restarts: fleet.restarts(),
      isClean:
        log.lost + log.doubled + log.outOfOrder + log.wrong === 0 &&
        logRows.rowsThatDiffer + tablesVerdict.rowsThatDiffer + all.length === 0,
    };
  } finally {
    for (const close of closing.reverse()) await close().catch(() => undefined);
  }
}
