import { toLsnText } from '../../changes/lsn.ts';
import { type SnapshotState, toStates } from '../../connectors/snapshot/request.ts';
import { type Finding, toFindings, toVerdict, type Verdict } from '../../monitor/findings.ts';
import { toTotalLag } from '../../monitor/lag.ts';
import { type PipelineState, readPipelineState, type TableState } from '../../monitor/pipeline-state.ts';
import type { Config } from '../../runtime/config.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { toBytesText, toCountText, toDurationText, toTableLines } from '../quantity-text.ts';
import { toListLines } from './snapshot.ts';

/** Shows the pipeline on one screen. Returns whether it is healthy. */
export async function status(context: CommandContext, options: { json?: boolean }): Promise<boolean> {
  const { config } = context;
  const state = await readPipelineState(config, context.pipeline.projections, context);
  const findings = toFindings(state, config);
  const verdict = toVerdict(findings);
  if (options.json) printJson(toStatusDocument(state, findings, verdict));
  else for (const line of toStatusLines(state, config, findings, verdict)) print(line);
  return verdict === 'healthy';
}

/** Output of `status --json`: lags in bytes, offsets and seconds. */
export function toStatusDocument(state: PipelineState, findings: readonly Finding[], verdict: Verdict) {
  const { legacy, kafka, target } = state;
  const position = kafka.state === 'up' ? kafka.position : null;
  const server = (reading: PipelineState['legacy' | 'kafka' | 'target']) =>
    reading.state === 'up' ? { state: reading.state } : reading;
  return {
    verdict,
    findings,
    servers: { legacy: server(legacy), kafka: server(kafka), target: server(target) },
    connector: {
      lsn: position === null ? null : toLsnText(position.lsn),
      lagBytes: state.source === null ? null : Number(state.source.lagBytes),
      lagSeconds: state.source?.lagSeconds ?? null,
      deadLetters: kafka.state === 'up' ? kafka.deadLetters : null,
      slot:
        legacy.state === 'up' && legacy.slot !== null
          ? {
              ...legacy.slot,
              retainedBytes: legacy.slot.retainedBytes === null ? null : Number(legacy.slot.retainedBytes),
              confirmedLsn: legacy.slot.confirmedLsn === null ? null : toLsnText(legacy.slot.confirmedLsn),
            }
          : null,
      initialLoad: state.tables,
      initialLoadPaused: isLoadPaused(state),
      snapshots: snapshotsOf(state),
    },
    projections: state.projections.map(({ partitions, ...projection }) => {
      const { lagOffsets, lagSeconds } = toTotalLag(partitions);
      return { ...projection, lagOffsets: lagOffsets === null ? null : Number(lagOffsets), lagSeconds };
    }),
    rejects: target.state === 'up' ? target.rejects : null,
    dashboard: target.state === 'up' ? target.figures : null,
  };
}

/** Output of `status`. */
export function toStatusLines(
  state: PipelineState,
  config: Pick<Config, 'slot'>,
  findings: readonly Finding[],
  verdict: Verdict,
): string[] {
  const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);
  const snapshots = snapshotsOf(state);
  return [
    `Pipeline: ${verdict}`,
    '',
    'Connector',
    ...indent(connectorLines(state, config)),
    '',
    'Initial load',
    ...indent(
      toTableLines(
        state.tables.map((table) => loadCells(table, isLoadPaused(state))),
        [1, 2],
      ),
    ),
    '',
    ...(snapshots.length === 0 ? [] : ['Ad-hoc snapshots', ...indent(toListLines(snapshots)), '']),
    'Projections',
    ...indent(projectionLines(state)),
    '',
    ...rejectLines(state),
    dashboardLine(state),
    ...(findings.length === 0 ? [] : ['', 'Findings']),
    ...findings.flatMap(({ level, what, remedy }) => [`  ${level}: ${what.replace(/\.?$/, '.')}`, `    ${remedy}`]),
  ];
}

function connectorLines({ legacy, kafka, source }: PipelineState, config: Pick<Config, 'slot'>): string[] {
  const slot = legacy.state === 'up' ? legacy.slot : null;
  const position = kafka.state === 'up' ? kafka.position : null;
  const slotText =
    legacy.state !== 'up'
      ? `unknown: the legacy database is ${legacy.state}`
      : slot === null
        ? 'does not exist'
        : slot.invalidation !== null || slot.walStatus === 'lost'
          ? `invalidated (${slot.invalidation ?? 'its log was removed'})`
          : `${slot.active ? 'read by a connector' : 'not read'}, retains ${toBytesText(slot.retainedBytes ?? 0n)} of log (${slot.walStatus ?? 'no log'})`;
  const positionText =
    kafka.state !== 'up' ? `unknown: Kafka is ${kafka.state}` : position === null ? 'none' : toLsnText(position.lsn);
  return toTableLines([
    [`slot ${config.slot}`, slotText],
    ['position', positionText],
    ['lag', source === null ? 'unknown' : `${toBytesText(source.lagBytes)}, ${toDurationText(source.lagSeconds)}`],
  ]);
}

/** Ad-hoc snapshots that may need attention: those that are not over, and the last failed ones. */
function snapshotsOf({ kafka }: PipelineState): SnapshotState[] {
  const signals = kafka.state === 'up' ? kafka.position?.signals : undefined;
  return signals === undefined
    ? []
    : toStates(signals).filter(({ state }) => state !== 'done' && state !== 'cancelled');
}

function isLoadPaused({ kafka }: PipelineState): boolean {
  return kafka.state === 'up' && kafka.position?.signals?.isLoadPaused === true;
}

function loadCells({ table, rows, done, estimatedRows, ...pace }: TableState, isPaused: boolean): string[] {
  const percent =
    done || rows === null || estimatedRows === null || estimatedRows === 0
      ? ''
      : `${Math.min(99, Math.floor((100 * rows) / estimatedRows))} %`;
  const ofAll = estimatedRows === null ? 'under way' : `of about ${toCountText(Math.max(estimatedRows, rows ?? 0))}`;
  const { rowsPerSecond, secondsLeft } = pace;
  const speed = rowsPerSecond === undefined ? '' : `, ${toCountText(rowsPerSecond)} rows/s`;
  const left = secondsLeft == null ? '' : `, ${toDurationText(secondsLeft)} left`;
  const place = rows === 0 ? 'not begun' : `${ofAll}${speed}${left}`;
  return [
    table,
    rows === null ? '?' : toCountText(rows),
    percent,
    done ? 'done' : rows === null ? 'unknown' : isPaused ? `${place}, paused` : place,
  ];
}

function projectionLines({ projections: states, target }: PipelineState): string[] {
  if (target.state !== 'up') return [`unknown: the target database is ${target.state}`];
  return toTableLines(
    [
      ['', 'offsets behind', 'seconds', 'parked', 'dead letters'],
      ...states.map(({ projection, partitions, parked, deadLetters }) => {
        const { lagOffsets, lagSeconds } = toTotalLag(partitions);
        return [
          projection,
          lagOffsets === null ? '?' : toCountText(lagOffsets),
          lagOffsets === null ? '?' : lagSeconds === null ? 'not begun' : toDurationText(lagSeconds),
          toCountText(parked),
          toCountText(deadLetters),
        ];
      }),
    ],
    [1, 2, 3, 4],
  );
}

function rejectLines({ target }: PipelineState): string[] {
  if (target.state !== 'up') return ['Rejects: unknown'];
  const total = target.rejects.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return ['Rejects: none'];
  const rows = target.rejects.map(({ table, reason, count }) => [toCountText(count), table ?? '', reason]);
  return [
    `Rejects: ${toCountText(total)}, see \`crosswalk rejects\``,
    ...toTableLines(rows, [0]).map((line) => `  ${line}`),
  ];
}

function dashboardLine({ target }: PipelineState): string {
  if (target.state !== 'up') return 'Dashboard: unknown';
  if (target.figures === null) return 'Dashboard: figures never refreshed';
  const { ageSeconds, tookSeconds } = target.figures;
  return `Dashboard: figures ${toDurationText(ageSeconds)} old, refreshed in ${toDurationText(tookSeconds)}`;
}
