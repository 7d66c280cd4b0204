import type pg from 'pg';
import type { Projection, Tenants } from '../projection.ts';
import { applyMapped, type MappedRow } from './apply.ts';
import type { TargetShapes } from './catalog.ts';
import { FoldError, isDataError } from './data-error.ts';
import { type Defect, mapGroup } from './map-changes.ts';
import { probeRows } from './probe.ts';

/** A legacy row whose changes wait for their cause. `code`: SQLSTATE; `reason`: SQLSTATE, table and constraint. */
export interface Blocked {
  readonly row: MappedRow;
  readonly reason: string;
  readonly code: string;
}

export interface Outcome {
  readonly applied: readonly MappedRow[];
  readonly blocked: readonly Blocked[];
  /** Not tried: the probe suspects them, and `mayLeave` allows skipping them. */
  readonly left?: readonly MappedRow[];
  readonly defects: readonly Defect[];
}

/** SQLSTATE of a row that references a missing row. */
export const FOREIGN_KEY = '23503';
/** Foreign key, unique, exclusion: the cause may still arrive in another partition or topic. */
export const WAITING: ReadonlySet<string> = new Set([FOREIGN_KEY, '23505', '23P01']);

interface PgError {
  readonly code?: string;
  readonly constraint?: string;
  readonly table?: string;
}

/**
 * Applies rows inside the caller's transaction so that a refusal affects only its own legacy row. Suspect rows are separated first. What fails is halved until each
 * refusal stands alone. That row then waits or becomes a defect, in which case the last applicable version is applied. `mayLeave`: rows that may be skipped if suspect;
 * each attempt of a bad row costs several statements.
 */
export async function applyIsolated(
  client: pg.ClientBase,
  projection: Projection,
  tenants: Tenants,
  shapes: TargetShapes,
  rows: readonly MappedRow[],
  mayLeave: (row: MappedRow) => boolean = () => false,
): Promise<Outcome> {
  const applied: MappedRow[] = [];
  const left: MappedRow[] = [];
  let blocked: Blocked[] = [];
  const defects: Defect[] = [];

  /** Returns whether all rows were applied. */
  async function attempt(some: readonly MappedRow[]): Promise<boolean> {
    if (some.length === 0) return true;
    await client.query('SAVEPOINT isolated; SET CONSTRAINTS ALL DEFERRED');
    try {
      await applyMapped(client, projection, shapes, some);
      // A refusal must surface before the savepoint is released, and not at commit.
      await client.query('SET CONSTRAINTS ALL IMMEDIATE; RELEASE SAVEPOINT isolated');
      applied.push(...some);
      return true;
    } catch (error) {
      await client.query('ROLLBACK TO SAVEPOINT isolated; RELEASE SAVEPOINT isolated');
      if (!isDataError(error)) throw error;
      if (some.length === 1) await settle(some[0]!, error as PgError | FoldError);
      else await attemptHalves(some);
      return false;
    }
  }

  async function attemptHalves(some: readonly MappedRow[]): Promise<void> {
    const middle = some.length >> 1;
    const [first, second] = [some.slice(0, middle), some.slice(middle)];
    // If the first half is accepted, the second has the bad row: trying it as a whole would be futile.
    if ((await attempt(first)) && second.length > 1) await attemptHalves(second);
    else await attempt(second);
  }

  async function settle(row: MappedRow, error: PgError | FoldError): Promise<void> {
    if (!(error instanceof FoldError) && WAITING.has(error.code ?? '')) {
      blocked.push({ row, reason: reasonOf(error), code: error.code ?? '' });
      return;
    }
    defects.push({ change: row.changes.at(-1)!, reason: reasonOf(error) });
    const earlier = mapGroup(projection, tenants, row.changes.slice(0, -1), defects);
    if (earlier !== null) await attempt([earlier]);
  }

  /** Tries suspects one by one as long as each is refused as expected; the rest as a whole once one is accepted. */
  async function attemptSuspects(suspects: readonly MappedRow[]): Promise<void> {
    for (const [index, row] of suspects.entries()) {
      if (await attempt([row])) {
        await attempt(suspects.slice(index + 1));
        return;
      }
    }
  }

  async function attemptAll(some: readonly MappedRow[]): Promise<void> {
    const { suspects } = await probeRows(client, projection, shapes, some);
    await attempt(some.filter((row) => !suspects.has(row)));
    const suspected = some.filter((row) => suspects.has(row));
    left.push(...suspected.filter(mayLeave));
    await attemptSuspects(suspected.filter((row) => !mayLeave(row)));
  }

  if (rows.length > 1) await attemptAll(rows);
  else await attempt(rows);
  // Rows that pass unique values among each other succeed or fail together. Halving may have separated them because of an unrelated row. Each probe leaves fewer of
  // them.
  for (;;) {
    const waiting = blocked.filter(({ code }) => code !== FOREIGN_KEY);
    if (waiting.length < 2) break;
    const { suspects } = await probeRows(
      client,
      projection,
      shapes,
      waiting.map(({ row }) => row),
    );
    const together = waiting.map(({ row }) => row).filter((row) => !suspects.has(row));
    if (together.length === 0) break;
    const isTogether = new Set(together);
    blocked = blocked.filter(({ row }) => !isTogether.has(row));
    if (!(await attempt(together))) break;
  }
  return { applied, blocked, left, defects: withoutRepeats(defects) };
}

/** SQLSTATE, table and constraint; never a value. */
function reasonOf(error: PgError | FoldError): string {
  if (error instanceof FoldError) return error.message;
  return [error.code, error.table, error.constraint].filter(Boolean).join(' ');
}

/** Removes duplicates: a change that is mapped again for its history fails again. */
function withoutRepeats(defects: readonly Defect[]): Defect[] {
  return [...new Map(defects.map((defect) => [defect.change, defect])).values()];
}
