import { toCountText, toTableLines } from '../cli/quantity-text.ts';
import type { GrowthPoint, LatencyName, LegName, Results } from './results.ts';
import { isShort, type LegSummary, peerOf, ratioOf, summariseLatency, summariseLeg, toOwnCpu } from './summary.ts';
import { judge } from './targets.ts';

/** A table: its head and its rows, all texts. The first column holds words, the others hold numbers. */
export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns of words; the first one alone by default. */
  readonly words?: readonly number[];
}

const count = (value: number | null | undefined) => (value == null ? '' : toCountText(value));
const fixed = (value: number | null | undefined, digits = 1) => (value == null ? '' : value.toFixed(digits));

/** Legs in the order of the tables, with their names for people. */
export const legTitles: readonly [LegName, string][] = [
  ['backfill', 'backfill'],
  ['source', 'connector alone'],
  ['projector', 'projector alone'],
  ['catchup', 'both, catch-up'],
  ['verify', 'verification'],
  ['limit', 'INSERT … SELECT'],
  ['flatBackfill', 'flat backfill'],
  ['flatCatchup', 'flat catch-up'],
  ['peerSnapshot', 'peer, snapshot'],
  ['peerSource', 'peer, source alone'],
  ['peerCatchup', 'peer, catch-up'],
];
export const latencyTitles: readonly [LatencyName, string][] = [
  ['crosswalk', 'crosswalk'],
  ['peer', 'peer, for throughput'],
  ['peerForLatency', 'peer, for latency'],
];
/** Legs that write the rows that the limit writes: the only ones that it compares with. */
const toLimit: readonly LegName[] = ['backfill', 'projector', 'catchup', 'limit'];

/** What a virtual machine of Java needs to show what it can do. */
const PEER_ROWS = 100_000;

/** What was measured, and on what. */
export function toHeadLines({ machine, sizes, command, at }: Results): string[] {
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, load ${fixed(machine.loadAtStart, 2)} at the start`,
    `PostgreSQL ${machine.postgres}, Kafka ${machine.kafka}, Node ${machine.node}, crosswalk ${machine.commit}${machine.peer === undefined ? '' : `, peer: Debezium ${machine.peer}`}`,
    `${count(sizes.rows)} rows, ${count(sizes.changes)} changes, ${sizes.seconds} s of single commits: ${command}, ${at}`,
  ];
}

/** The tables of a run; those without rows are left out. */
export function toTables(results: Results): Table[] {
  return [
    toRates(results),
    toCosts(results),
    toLatencies(results),
    toHops(results),
    toGrowth(results),
    toScale(results),
    toQueries(results),
    toTargets(results),
  ].filter((table) => table.rows.length > 0);
}

/** A run for people. */
export function toReportLines(results: Results): string[] {
  const tables = toTables(results).flatMap(({ title, head, rows, words = [0] }) => {
    const numbers = head.flatMap((_, at) => (words.includes(at) ? [] : [at]));
    return [title, ...toTableLines([head, ...rows], numbers).map((line) => `  ${line}`), ''];
  });
  return [...toHeadLines(results), '', ...tables];
}

/** What makes the figures doubtful; none where nothing does. */
export function toWarnings(results: Results): string[] {
  const warnings = results.failures.map((failure) => `figures of the peer are missing: ${failure}`);
  if (results.machine.loadAtStart > 0.5)
    warnings.push(`the machine was busy at the start (load ${fixed(results.machine.loadAtStart, 2)}): not quotable`);
  if (results.isProfiled) warnings.push('profilers ran beside: not quotable');
  if (results.legs.peerSnapshot !== undefined && results.sizes.rows < PEER_ROWS)
    warnings.push(`the peer is still getting up to speed in so few rows: compare it with ${count(PEER_ROWS)} or more`);
  const short = summaries(results).filter(({ leg }) => isShort(leg));
  if (short.length > 0)
    warnings.push(`too short to be a rate: ${short.map(({ title }) => title).join(', ')}; give it more rows`);
  for (const [name, title] of latencyTitles)
    for (const { achievedPerSecond, ratePerSecond } of results.latency[name] ?? [])
      if (achievedPerSecond < ratePerSecond * 0.98)
        warnings.push(
          `${title}: only ${fixed(achievedPerSecond)} of ${ratePerSecond} commits a second were reached: the latency is that of a slower source`,
        );
  return warnings;
}

const summaries = (results: Results) =>
  legTitles.flatMap(([name, title]) => {
    const leg = summariseLeg(results, name);
    return leg === null ? [] : [{ name, title, leg }];
  });

function toRates(results: Results): Table {
  const hasPeer = results.legs.peerSnapshot !== undefined;
  const rows = summaries(results).map(({ name, title, leg }) => {
    const { min, median, max } = leg.rowsPerSecond;
    const limit = toLimit.includes(name) ? fixed(ratioOf(results, name, 'limit'), 2) : '';
    const peer = hasPeer ? [fixed(ratioOf(results, name, peerOf(name)), 2)] : [];
    const spread = leg.runs === 1 ? ['', count(median), ''] : [count(min), count(median), count(max)];
    return [title, String(leg.runs), ...spread, fixed(leg.seconds), limit, ...peer, fixed(leg.startupSeconds)];
  });
  const head = ['', 'runs', 'min', 'rows/s', 'max', 'seconds', '× limit', ...(hasPeer ? ['× peer'] : []), 'start s'];
  return { title: 'rates', head, rows };
}

function toCosts(results: Results): Table {
  const rows = summaries(results).map(({ title, leg }) => [
    title,
    ...toCpu(leg),
    count(leg.peakMiB.connect ?? leg.peakMiB.peer),
    count(leg.peakMiB.project),
    count(leg.peakMiB.kafka),
  ]);
  const cpu = ['connector', 'projector', 'together', 'PostgreSQL', 'Kafka'];
  const head = ['', ...cpu.map((name) => `${name} s`), 'connector MiB', 'projector MiB', 'Kafka MiB'];
  return { title: 'CPU seconds for a million rows, and greatest resident size', head, rows };
}

function toCpu({ cpuPerMillion: cpu }: LegSummary): string[] {
  return [cpu.connect ?? cpu.peer, cpu.project, toOwnCpu(cpu), cpu.postgres, cpu.kafka].map((seconds) =>
    fixed(seconds),
  );
}

function toLatencies(results: Results): Table {
  const peer = summariseLatency(results, 'peer');
  const rows = latencyTitles.flatMap(([name, title]) => {
    const latency = summariseLatency(results, name);
    if (latency === null) return [];
    const { p50, p95, p99, max, achievedPerSecond, cpuPercent, startupSeconds, peakMiB } = latency;
    const toPeer =
      peer === null ? [] : [fixed(p50.median / peer.p50.median, 2), fixed(p99.median / peer.p99.median, 2)];
    const times = [p50.median, p95.median, p99.median, max].map((ms) => fixed(ms));
    const sizes = [peakMiB.connect ?? peakMiB.peer, peakMiB.project].map((size) => count(size));
    const costs = [fixed(cpuPercent, 0), ...sizes, fixed(startupSeconds, 2)];
    return [[title, fixed(achievedPerSecond), ...times, ...toPeer, ...costs]];
  });
  const toPeer = peer === null ? [] : ['p50 × peer', 'p99 × peer'];
  const costs = ['CPU %', 'connector MiB', 'projector MiB', 'start s'];
  const head = ['', 'commits/s', 'p50', 'p95', 'p99', 'max', ...toPeer, ...costs];
  return { title: 'single commits, source commit to target commit, ms', head, rows };
}

function toHops({ hops = {} }: Results): Table {
  const rows = Object.entries(hops).map(([name, { p50, p95, p99, max }]) => [
    name,
    ...[p50, p95, p99, max].map((ms) => fixed(ms, 2)),
  ]);
  return { title: 'hops of single commits, ms', head: ['', 'p50', 'p95', 'p99', 'max'], rows };
}

function toGrowth({ growth }: Results): Table {
  const rows = growth.map((point) => [toGrowthTitle(point), count(point.rows), ...toGrowthCells(point)]);
  const head = ['', 'rows', 'rows/s', 'seconds', 'CPU s per million', 'connector MiB', 'projector MiB', 'Kafka MiB'];
  return { title: 'backfills of growing size', head, rows };
}

function toScale({ scale = [] }: Results): Table {
  const rows = scale.map(({ partitions, processes, measured: { rowsPerSecond, cpuPerMillion: cpu, peakMiB } }) => [
    `${partitions} partitions, ${processes} processes`,
    ...[count(rowsPerSecond), fixed(cpu.project), fixed(cpu.postgres), count(peakMiB.project)],
  ]);
  const head = ['', 'rows/s', 'projectors s per million', 'PostgreSQL s per million', 'greatest projector MiB'];
  return { title: 'projectors side by side', head, rows };
}

function toQueries({ queries }: Results): Table {
  const rows = (queries?.queries ?? []).map(({ name, wantedMs, ms, isMet, errors }) => [
    name,
    wantedMs === null ? '' : `< ${count(wantedMs)}`,
    ...[ms.p50, ms.p95, ms.max].map((time) => fixed(time, 2)),
    ...[count(ms.count), count(errors), isMet === null ? '' : isMet ? 'met' : 'not met'],
  ]);
  const head = ['', 'wanted p95', 'p50', 'p95', 'max', 'times', 'errors', ''];
  const of = queries === undefined ? '' : `, ${count(queries.leads)} leads of ${count(queries.tenants)} tenants`;
  return { title: `queries of the application, ms${of}`, head, rows, words: [0, 7] };
}

const GROWTH_TITLES = {
  'as usual': 'a customer each',
  'one tenant': 'a customer each, one tenant',
  '1,000 tenants': 'a customer each, 1,000 tenants',
  'one customer': 'all of one customer',
} as const;

const toGrowthTitle = ({ shape }: GrowthPoint) => GROWTH_TITLES[shape];

function toGrowthCells({ measured, applied }: GrowthPoint): string[] {
  if (measured === null) return [`not over: ${count(applied)} applied`, '', '', '', '', ''];
  const { connect, project, kafka } = measured.peakMiB;
  return [
    ...[count(measured.rowsPerSecond), fixed(measured.seconds), fixed(toOwnCpu(measured.cpuPerMillion))],
    ...[connect, project, kafka].map((size) => count(size)),
  ];
}

function toTargets(results: Results): Table {
  const judged = judge(results);
  const text = (value: number, unit: string) => `${fixed(value, unit === '×' ? 2 : unit === 'MiB' ? 0 : 1)} ${unit}`;
  const rows = judged
    // A run of one step is asked about that step alone.
    .filter(({ measured }) => measured !== null)
    .map(({ what, kind, wanted, unit, measured, isMet }) => [
      what,
      `${kind === 'at least' ? '≥' : '≤'} ${text(wanted, unit)}`,
      text(measured!, unit),
      isMet ? 'met' : 'not met',
    ]);
  const missing = judged.length - rows.length;
  const title = missing === 0 ? 'wanted' : `wanted (${missing} more were not measured)`;
  return { title, head: ['', 'wanted', 'measured', ''], rows, words: [0, 3] };
}
