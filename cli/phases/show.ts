import type { LogEntry } from '../../schemas/phase-log.ts';
import { toCountText, toTableLines } from '../quantity-text.ts';
import { phases } from './all.ts';
import type { Counts, Section } from './phase.ts';

/** Counts before and after, side by side: one line per subject, one number if it did not change, two if it did. Omits lines of zeros. */
export function toCountLines(before: Counts, after: Counts): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const rows = names.flatMap((name) => {
    const kinds = [...new Set([...Object.keys(before[name] ?? {}), ...Object.keys(after[name] ?? {})])];
    const cells = kinds.flatMap((kind) => {
      const [was, is] = [before[name]?.[kind] ?? 0, after[name]?.[kind] ?? 0];
      if (was === 0 && is === 0) return [];
      return [was === is ? `${toCountText(is)} ${kind}` : `${toCountText(was)} → ${toCountText(is)} ${kind}`];
    });
    return cells.length === 0 ? [] : [[name, cells.join(', ')]];
  });
  return toTableLines(rows);
}

/** A plan as a script for a plain client: section by section, each introduced by a line with its database. */
export function toScript(sections: readonly Section[]): string {
  return sections
    .map(({ database, title, sql }) => `-- section, ${database} database: ${title}\n${sql.trim()}\n`)
    .join('\n');
}

/** State of a phase, from the log. */
export interface PhaseStanding {
  readonly phase: string;
  readonly state: 'not run' | 'begun, not ended' | 'done' | 'no-go' | 'failed' | 'rolled back';
  readonly at: string | null;
  readonly by: string | null;
}

/** The last event of each phase. A no-go changes nothing, so it counts only if there is no other event. */
export function toStandings(entries: readonly LogEntry[]): PhaseStanding[] {
  return phases.map(({ name }) => {
    const own = entries.filter(({ phase, action }) => phase === name && (action === 'run' || action === 'rollback'));
    const last = own.findLast(({ verdict }) => verdict !== 'no-go') ?? own.at(-1);
    if (last === undefined) return { phase: name, state: 'not run', at: null, by: null };
    const { verdict, action, at, role, operator } = last;
    const state =
      verdict === 'begun' ? 'begun, not ended' : verdict === 'done' && action === 'rollback' ? 'rolled back' : verdict;
    return { phase: name, state, at, by: `${role}, ${operator}` };
  });
}
