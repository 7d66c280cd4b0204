import type { ChaosResult } from './run.ts';

/** The table that a run ends with: faults by kind, and the figures of which only zero is acceptable. */
export function toReport(result: ChaosResult): string {
  const { plan, faults, log, logRows, tables } = result;
  const kinds = Object.entries(faults);
  const total = kinds.reduce((sum, [, count]) => sum + count, 0);
  const lines = [
    '',
    ...kinds.map(([name, count]) => row(name, count)),
    row(`faults of ${kinds.filter(([, count]) => count > 0).length} kinds`, total),
    '',
    row('changes in the history of the database', log.changes),
    row('events in the log', log.events),
    row('passed over under a refused type', log.passedOver),
    row('lost', log.lost),
    row('doubled', log.doubled),
    row('out of order', log.outOfOrder),
    row('invented, or with another cell', log.wrong),
    row('rows that the log ends otherwise', logRows.rowsThatDiffer),
    row('rows that differ', tables.rowsThatDiffer),
    row('processes that ended unasked', result.troubles.length),
    '',
    `${result.stops} stops that schema changes explain, ${result.resnapshots} resnapshots.`,
    `${result.restarts} restarts, ${result.stalls} of processes that found themselves stalled; all applied ${result.catchUpSeconds.toFixed(1)} s after the last fault.`,
    `${result.isClean ? 'Nothing lost, nothing doubled, every row equal.' : 'NOT CLEAN.'} SEED=${plan.seed} repeats the plan.`,
    ...[...log.details, ...logRows.details, ...tables.details, ...result.troubles].slice(0, 40),
  ];
  return `${lines.join('\n')}\n`;
}

function row(name: string, count: number): string {
  return `${name.padEnd(58)} ${String(count).padStart(10)}`;
}
