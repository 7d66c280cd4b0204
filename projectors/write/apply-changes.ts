import type pg from 'pg';
import { reach } from '../../runtime/faults.ts';
import type { ChangeDecoder } from '../decode.ts';
import type { Projection, Tenants } from '../projection.ts';
import type { SourceChange } from '../source-change.ts';
import { applyMapped, type MappedRow, sendMapped } from './apply.ts';
import type { TargetShapes } from './catalog.ts';
import { isDataError, isLockError } from './data-error.ts';
import { resolveDeadLetters, toAppliedChanges, writeDeadLetters } from './dead-letters.ts';
import { createFlight, type Flight } from './flight.ts';
import { applyIsolated, type Outcome } from './isolate.ts';
import { type Defect, mapChanges } from './map-changes.ts';
import { moveOffsets, type PartitionOf } from './offsets.ts';
import { parkBlocked, parkChanges, readHeldKeys } from './parking.ts';
import { withClient } from './with-client.ts';

/** What one projection needs to apply changes. */
export interface Applier {
  readonly projection: Projection;
  readonly tenants: Tenants;
  readonly shapes: TargetShapes;
  readonly decoder: ChangeDecoder;
}

/** Attempts of a transaction that loses a deadlock: halves of an isolated batch take their locks in their own order. */
const LOCK_ATTEMPTS = 5;

/** Outcome of a slice; `parked` counts changes. */
export type SliceOutcome = Outcome & { readonly parked: number };

/** Changes of one partition between two offsets. */
export interface Slice extends PartitionOf {
  readonly changes: readonly SourceChange[];
  readonly expected: bigint;
  readonly next: bigint;
}

/**
 * Applies slices of different partitions exactly once: map, lock and fold, write, and move the offsets, in one transaction. Data that PostgreSQL refuses is isolated on a
 * second run. Throws `stale_consumer`, with nothing changed, if one of the partitions is not at the offset where its slice begins.
 */
export async function applySlices(
  pool: pg.Pool,
  applier: Pick<Applier, 'projection' | 'tenants' | 'shapes'>,
  slices: readonly Slice[],
): Promise<SliceOutcome> {
  const changes = slices.flatMap((slice) => slice.changes);
  const mapped = mapChanges(applier.projection, applier.tenants, changes);
  return await withClient(pool, async (client) => {
    let pace: Pace = 'at once';
    for (let attempt = 1; ; attempt++) {
      try {
        const outcome = await inPipelinedTransaction(client, async (flight) => {
          const written = await writeSlices(client, flight, applier, slices, { changes, mapped, pace });
          if (reach === null) return written;
          await flight.landed();
          await reach('target_commit.before');
          return written;
        });
        await reach?.('target_commit.after');
        return outcome;
      } catch (error) {
        if (error instanceof RowsAreHeld) pace = 'step by step';
        else if (isDataError(error) && pace !== 'isolated') pace = 'isolated';
        else if (!isLockError(error) || attempt >= LOCK_ATTEMPTS) throw error;
      }
    }
  });
}

/**
 * How rows are written. `at once`: without waiting to learn which keys are held; if rows have to wait behind parked changes, the transaction is rolled back and repeated
 * `step by step`. `isolated`: a refusal by PostgreSQL affects only its own legacy row.
 */
type Pace = 'at once' | 'step by step' | 'isolated';

/** Rows were written that must wait behind parked changes. */
class RowsAreHeld extends Error {}

/**
 * Runs `work` in one transaction on a pipelined connection: BEGIN is sent together with the first statement, and COMMIT after the last one without waiting for its
 * result. Rolls back and throws on any error.
 */
async function inPipelinedTransaction<T>(client: pg.ClientBase, work: (flight: Flight) => Promise<T>): Promise<T> {
  const flight = createFlight();
  flight.add(client.query('BEGIN'));
  let isEnding = false;
  try {
    const result = await work(flight);
    isEnding = true;
    flight.add(client.query('COMMIT'));
    await flight.landed();
    return result;
  } catch (error) {
    // COMMIT also ends a failed transaction.
    if (!isEnding) await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Applies the changes of one partition alone. */
export function applyChanges(
  pool: pg.Pool,
  applier: Pick<Applier, 'projection' | 'tenants' | 'shapes'>,
  of: PartitionOf,
  slice: { readonly changes: readonly SourceChange[]; readonly expected: bigint; readonly next: bigint },
): Promise<SliceOutcome> {
  return applySlices(pool, applier, [{ ...of, ...slice }]);
}

/** Makes all changes of the slices in the caller's transaction. Offsets come first, so that a stale consumer stops before it writes. */
async function writeSlices(
  client: pg.ClientBase,
  flight: Flight,
  applier: Pick<Applier, 'projection' | 'tenants' | 'shapes'>,
  slices: readonly Slice[],
  slice: {
    changes: readonly SourceChange[];
    mapped: { rows: MappedRow[]; defects: Defect[] };
    pace: Pace;
  },
): Promise<SliceOutcome> {
  const { projection, tenants, shapes } = applier;
  const moves = slices.map((each) => ({ ...each, last: each.changes.at(-1)?.lineage ?? null }));
  await reach?.('offset_move.before');
  const moved = flight.ask(moveOffsets(client, projection.name, moves));
  if (reach !== null) {
    await flight.landed();
    await reach('offset_move.after');
  }
  const legacyKeys = [...new Set(slice.changes.map((change) => change.legacyKey))];
  const held = flight.ask(readHeldKeys(client, projection.name, legacyKeys));
  const isAtOnce = slice.pace === 'at once';
  if (isAtOnce && slice.mapped.rows.length > 0) await sendMapped(client, flight, projection, shapes, slice.mapped.rows);
  await moved;
  const { parked, dead } = await held;
  if (isAtOnce && parked.size > 0) throw new RowsAreHeld();
  const waiting = slice.changes.filter((change) => parked.has(change.legacyKey));
  await parkChanges(
    client,
    projection.name,
    waiting.map((change) => ({ change, reason: 'behind a parked change' })),
  );
  const rows = slice.mapped.rows.filter((row) => !parked.has(row.legacyKey));
  const defects = slice.mapped.defects.filter((defect) => !parked.has(defect.change.legacyKey));
  let outcome: Outcome = { applied: rows, blocked: [], defects: [] };
  if (!isAtOnce && rows.length > 0) {
    if (slice.pace === 'isolated') outcome = await applyIsolated(client, projection, tenants, shapes, rows);
    else await applyMapped(client, projection, shapes, rows);
  }
  const allDefects = [...defects, ...outcome.defects];
  await parkBlocked(client, projection.name, outcome.blocked);
  await writeDeadLetters(client, projection, allDefects);
  // After the dead letters are written: one that a later version in the same batch supersedes is resolved at once.
  const failing = new Set(allDefects.map((defect) => defect.change.legacyKey));
  await resolveDeadLetters(
    client,
    projection.name,
    outcome.applied
      .filter((row) => dead.has(row.legacyKey) || failing.has(row.legacyKey))
      .flatMap((row) => toAppliedChanges(projection, row)),
  );
  return {
    ...outcome,
    defects: allDefects,
    parked: waiting.length + outcome.blocked.reduce((sum, { row }) => sum + row.changes.length, 0),
  };
}
