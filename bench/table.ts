import { toCountText, toTableLines } from '../cli/quantity-text.ts';
import type { Results, Throughput } from './results.ts';

const count = (value: number | undefined) => (value === undefined ? '' : toCountText(value));
const fixed = (value: number | undefined, digits = 1) => (value === undefined ? '' : value.toFixed(digits));

/** A run for people: the machine, a table of rates, latency, and how the rates compare with the limit of the same run. */
export function toReportLines(results: Results): string[] {
  const { machine, sizes, limit, latency, verify } = results;
  const lines = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, load ${fixed(machine.loadAtStart, 2)} at the start`,
    `PostgreSQL ${machine.postgres}, Kafka ${machine.kafka}, Node ${machine.node}, crosswalk ${machine.commit}`,
    `${count(sizes.rows)} rows, ${count(sizes.changes)} changes, ${sizes.seconds} s of single commits`,
    '',
  ];
  const rates: [string, Throughput | undefined][] = [
    ['backfill', results.backfill],
    ['connector alone', results.source],
    ['projector alone', results.projector],
    ['both, catch-up', results.catchup],
  ];
  const rows = rates.flatMap(([name, rate]) => (rate === undefined ? [] : [toRow(name, rate, limit?.rowsPerSecond)]));
  if (limit !== undefined)
    rows.push(['INSERT … SELECT', count(limit.rowsPerSecond), fixed(limit.seconds), '1.00', '', '', '', '']);
  if (verify !== undefined)
    rows.push(['verification', count(verify.rowsPerSecond), fixed(verify.seconds), '', '', '', '', '']);
  if (rows.length > 0) {
    const head = [
      '',
      'rows/s',
      'seconds',
      'to limit',
      'start s',
      'CPU s per million',
      'connector MiB',
      'projector MiB',
    ];
    lines.push(...toTableLines([head, ...rows], [1, 2, 3, 4, 5, 6, 7]), '');
  }
  if (latency !== undefined) {
    const { p50, p95, p99, max, count: operations } = latency.commitToVisibleMs;
    lines.push(
      `commit to visible at ${fixed(latency.achievedPerSecond)} commits/s, ms: p50 ${fixed(p50)}, p95 ${fixed(p95)}, p99 ${fixed(p99)}, max ${fixed(max)} (${count(operations)} rows)`,
      '',
    );
  }
  return lines;
}

/** What makes the figures doubtful; none where nothing does. */
export function toWarnings(results: Results): string[] {
  const warnings: string[] = [];
  if (results.machine.loadAtStart > 0.5)
    warnings.push(`the machine was busy at the start (load ${fixed(results.machine.loadAtStart, 2)}): not quotable`);
  if (results.isProfiled) warnings.push('profilers ran beside: not quotable');
  const { latency } = results;
  if (latency !== undefined && latency.achievedPerSecond < latency.ratePerSecond * 0.98)
    warnings.push(
      `only ${fixed(latency.achievedPerSecond)} of ${latency.ratePerSecond} commits a second were reached: the latency is that of a slower source`,
    );
  return warnings;
}

function toRow(name: string, rate: Throughput, limitPerSecond: number | undefined): string[] {
  return [
    name,
    count(rate.rowsPerSecond),
    fixed(rate.seconds),
    // The connector writes no new rows: it is compared with nothing.
    limitPerSecond === undefined || rate.peakMiB.project === undefined
      ? ''
      : fixed(rate.rowsPerSecond / limitPerSecond, 2),
    fixed(rate.startupSeconds),
    fixed(rate.cpuPerMillion),
    count(rate.peakMiB.connect),
    count(rate.peakMiB.project),
  ];
}
