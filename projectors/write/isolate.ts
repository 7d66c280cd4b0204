import type pg from 'pg';
import type { Projection, Tenants } from '../projection.ts';
import { applyMapped, type MappedRow } from './apply.ts';
import type { TargetShapes } from './catalog.ts';
import { type Defect, mapGroup } from './map-changes.ts';

/** A legacy row whose changes wait for their cause. `code`: SQLSTATE; `reason`: it and the constraint. */
export interface Blocked {
  readonly row: MappedRow;
  readonly reason: string;
  readonly code: string;
}

export interface Outcome {
  readonly applied: readonly MappedRow[];
  readonly blocked: readonly Blocked[];
  readonly defects: readonly Defect[];
}

/** SQLSTATE of a row that refers to one that is not there. */
export const FOREIGN_KEY = '23503';
/** Foreign key, unique, exclusion: the cause may be on its way in another partition or topic. */
const WAITING = new Set([FOREIGN_KEY, '23505', '23P01']);

interface PgError {
  readonly code?: string;
  readonly constraint?: string;
  readonly table?: string;
}

/** Whether PostgreSQL refused the data, and not the moment. */
export function isDataError(error: unknown): boolean {
  const code = (error as PgError | null)?.code;
  return typeof code === 'string' && /^2[23]...$/.test(code);
}

/** Whether PostgreSQL ended this transaction so that another could go on. */
export function isLockError(error: unknown): boolean {
  const code = (error as PgError | null)?.code;
  return code === '40P01' || code === '40001';
}

/**
 * Applies rows inside the caller's transaction so that what cannot be applied harms only its own legacy row: halves until each
 * refusal stands alone, then lets it wait or calls it a defect and goes back to the last version that was accepted.
 */
export async function applyIsolated(
  client: pg.ClientBase,
  projection: Projection,
  tenants: Tenants,
  shapes: TargetShapes,
  rows: readonly MappedRow[],
): Promise<Outcome> {
  const applied: MappedRow[] = [];
  let blocked: Blocked[] = [];
  const defects: Defect[] = [];

  async function attempt(some: readonly MappedRow[]): Promise<void> {
    if (some.length === 0) return;
    await client.query('SAVEPOINT isolated');
    try {
      await client.query('SET CONSTRAINTS ALL DEFERRED');
      await applyMapped(client, projection, shapes, some);
      // A refusal must show before the savepoint is released, and not at commit.
      await client.query('SET CONSTRAINTS ALL IMMEDIATE');
      await client.query('RELEASE SAVEPOINT isolated');
      applied.push(...some);
    } catch (error) {
      await client.query('ROLLBACK TO SAVEPOINT isolated');
      await client.query('RELEASE SAVEPOINT isolated');
      if (!isDataError(error)) throw error;
      if (some.length > 1) {
        const middle = some.length >> 1;
        await attempt(some.slice(0, middle));
        await attempt(some.slice(middle));
      } else {
        await settle(some[0]!, error as PgError);
      }
    }
  }

  async function settle(row: MappedRow, error: PgError): Promise<void> {
    const reason = [error.code, error.table, error.constraint].filter(Boolean).join(' ');
    if (WAITING.has(error.code ?? '')) {
      blocked.push({ row, reason, code: error.code ?? '' });
      return;
    }
    defects.push({ change: row.changes.at(-1)!, reason });
    const earlier = mapGroup(projection, tenants, row.changes.slice(0, -1), defects);
    if (earlier !== null) await attempt([earlier]);
  }

  await attempt(rows);
  // Rows that hand unique values around among each other stand or fall together: halving must not have parted them for the sake of a row that they have
  // nothing to do with.
  const inCircles = blocked.filter(({ code }) => code !== FOREIGN_KEY).map(({ row }) => row);
  if (inCircles.length > 1 && inCircles.length < rows.length) {
    blocked = blocked.filter(({ code }) => code === FOREIGN_KEY);
    await attempt(inCircles);
  }
  return { applied, blocked, defects };
}
