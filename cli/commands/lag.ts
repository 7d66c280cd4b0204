import { toLsnText } from '../../changes/lsn.ts';
import { type Finding, toFindings, toVerdict, type Verdict } from '../../monitor/findings.ts';
import { toTotalLag } from '../../monitor/lag.ts';
import { type PipelineState, readPipelineState } from '../../monitor/pipeline-state.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { toBytesText, toCountText, toDurationText, toTableLines } from '../quantity-text.ts';

/** Shows the lag by topic and partition. Returns false if lag, or a server that is down, makes the pipeline unhealthy. */
export async function lag(context: CommandContext, options: { json?: boolean }): Promise<boolean> {
  const state = await readPipelineState(context.config, context.pipeline.projections, context);
  const findings = toFindings(state, context.config).filter(({ about }) =>
    ['server', 'connector', 'lag'].includes(about),
  );
  const verdict = toVerdict(findings);
  if (options.json) printJson(toLagDocument(state, verdict));
  else for (const line of toLagLines(state, findings)) print(line);
  return verdict !== 'failing';
}

/** Output of `lag --json`: every partition. */
export function toLagDocument(state: PipelineState, verdict: Verdict) {
  const position = state.kafka.state === 'up' ? state.kafka.position : null;
  return {
    verdict,
    source:
      state.source === null || position === null
        ? null
        : { lsn: toLsnText(position.lsn), ...state.source, lagBytes: Number(state.source.lagBytes) },
    projections: state.projections.map(({ projection, topic, partitions }) => {
      const { lagOffsets, lagSeconds } = toTotalLag(partitions);
      return {
        projection,
        topic,
        lagOffsets: lagOffsets === null ? null : Number(lagOffsets),
        lagSeconds,
        partitions: partitions.map((lag) => ({
          partition: lag.partition,
          endOffset: Number(lag.endOffset),
          nextOffset: Number(lag.nextOffset),
          lagOffsets: Number(lag.lagOffsets),
          lagSeconds: lag.lagSeconds,
        })),
      };
    }),
  };
}

/** Output of `lag`: totals, and the partitions that lag. */
export function toLagLines(state: PipelineState, findings: readonly Finding[]): string[] {
  const seconds = (value: number | null) => (value === null ? 'not begun' : toDurationText(value));
  const source =
    state.source === null
      ? 'unknown'
      : `${toBytesText(state.source.lagBytes)}, ${toDurationText(state.source.lagSeconds)}`;
  const rows = state.projections.flatMap(({ projection, topic, partitions }) => {
    const total = toTotalLag(partitions);
    if (total.lagOffsets === null) return [[projection, topic, '', '?', '?']];
    return [
      [projection, topic, 'all', toCountText(total.lagOffsets), seconds(total.lagSeconds)],
      ...partitions
        .filter(({ lagOffsets }) => lagOffsets > 0n)
        .map(({ partition, lagOffsets, lagSeconds }) => [
          '',
          '',
          String(partition),
          toCountText(lagOffsets),
          seconds(lagSeconds),
        ]),
    ];
  });
  return [
    `Log behind the legacy database: ${source}`,
    ...toTableLines([['projection', 'topic', 'partition', 'offsets', 'seconds'], ...rows], [2, 3, 4]),
    ...findings.flatMap(({ level, what, remedy }) => [`${level}: ${what.replace(/\.?$/, '.')} ${remedy}`]),
  ];
}
