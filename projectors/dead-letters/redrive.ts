import type pg from 'pg';
import { toCrosswalkError } from '../../runtime/errors.ts';
import { inTransaction } from '../../runtime/postgres.ts';
import { PARKED_LOCK } from '../session.ts';
import { byLegacyKey, type SourceChange } from '../source-change.ts';
import type { Applier } from '../write/apply-changes.ts';
import { isLockError } from '../write/data-error.ts';
import { resolveDeadLetters, toAppliedChanges } from '../write/dead-letters.ts';
import { applyIsolated, WAITING } from '../write/isolate.ts';
import { type Defect, mapGroup } from '../write/map-changes.ts';
import { readHeldKeys } from '../write/parking.ts';
import { withClient } from '../write/with-client.ts';
import { type LetterId, toLetterId } from './letter-id.ts';
import {
  countLetters,
  type Letter,
  type LetterRecord,
  lockRecords,
  readLetters,
  type Selection,
  setReasons,
} from './letters.ts';

/** Dead letters read at a time. */
const PAGE_LETTERS = 1000;
/** Dead letters in one transaction: projectors of their partitions wait for it. */
const BATCH_LETTERS = 200;
/** Bytes of their records, which are held in memory together. */
const BATCH_BYTES = 8_000_000;
const LOCK_ATTEMPTS = 5;
/** Most dead letters kept for another pass. */
const MOST_AGAIN = 100_000;

/**
 * Outcome of a redrive. `overtaken`: a later version of the row was applied; `held`: other changes of the row are parked, or a replay has not reached it yet; `left`:
 * those still open, by new reason.
 */
export interface Redriven {
  selected: number;
  applied: number;
  overtaken: number;
  held: number;
  readonly left: Map<string, number>;
}

export interface RedriveOptions {
  readonly selection: Selection;
  /** Name recorded as the operator. */
  readonly by: string;
  /** Does everything, then rolls it back. */
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** `mayPass`: a row or a unique value is missing, which another dead letter may supply. */
type Fate =
  | { readonly kind: 'applied' | 'overtaken' | 'held' }
  | { readonly kind: 'left'; readonly reason: string; readonly mayPass: boolean };

/**
 * Applies open dead letters again, each exactly once, as a projector would. Projections run in order, parents first. Dead letters that still wait for a row or a unique
 * value afterwards are retried as long as a pass applies any. Stops between two batches when the signal is aborted.
 */
export async function redrive(pool: pg.Pool, appliers: readonly Applier[], options: RedriveOptions): Promise<Redriven> {
  const { selection, dryRun, signal } = options;
  const result: Redriven = { selected: 0, applied: 0, overtaken: 0, held: 0, left: new Map() };
  const leave = (reason: string, count = 1) => result.left.set(reason, (result.left.get(reason) ?? 0) + count);
  let again: { id: LetterId; bytes: number; reason: string }[] = [];

  async function run(applier: Applier, letters: readonly { id: LetterId; bytes: number }[]): Promise<number> {
    let tried = 0;
    for (const batch of inBatches(letters)) {
      if (signal.aborted) break;
      const fates = await redriveBatch(
        pool,
        applier,
        batch.map(({ id }) => id),
        options,
      );
      for (const [index, fate] of fates.entries()) {
        if (fate.kind !== 'left') result[fate.kind] += 1;
        else if (fate.mayPass && again.length < MOST_AGAIN) again.push({ ...batch[index]!, reason: fate.reason });
        else leave(fate.reason);
      }
      tried += batch.length;
    }
    return tried;
  }

  const counts = await withClient(pool, (client) => countLetters(client, selection));
  const names = new Set(appliers.map(({ projection }) => projection.name));
  for (const { projection, open } of counts) {
    if (!names.has(projection)) leave(`this program has no projection ${projection}`, open);
  }
  const total = counts.reduce((sum, { projection, open }) => sum + (names.has(projection) ? open : 0), 0);
  for (const applier of appliers) {
    const { name } = applier.projection;
    if (selection.projection !== undefined && selection.projection !== name) continue;
    for (let after: LetterId | null = null; !signal.aborted; ) {
      const page: Letter[] = await withClient(pool, (client) =>
        readLetters(client, { ...selection, projection: name, resolvedToo: false }, PAGE_LETTERS, after),
      );
      if (page.length === 0) break;
      result.selected += await run(
        applier,
        page.map((letter) => ({ id: letter, bytes: letter.bytes })),
      );
      options.onProgress(result.selected, Math.max(total, result.selected));
      after = page.at(-1)!;
    }
  }
  for (let before = -1; !dryRun && again.length > 0 && before !== result.applied; ) {
    before = result.applied;
    const tried = again;
    again = [];
    for (const applier of appliers) {
      const own = tried.filter(({ id }) => id.projection === applier.projection.name);
      again.push(...own.slice(await run(applier, own)));
    }
  }
  for (const { reason } of again) leave(reason);
  return result;
}

function* inBatches<T extends { readonly bytes: number }>(letters: readonly T[]): Generator<readonly T[]> {
  let batch: T[] = [];
  let bytes = 0;
  for (const letter of letters) {
    if (batch.length === BATCH_LETTERS || (batch.length > 0 && bytes + letter.bytes > BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(letter);
    bytes += letter.bytes;
  }
  if (batch.length > 0) yield batch;
}

/** Carries the results of a dry run out of the transaction that it rolls back. */
class Undo extends Error {
  readonly fates: readonly Fate[];

  constructor(fates: readonly Fate[]) {
    super('dry run');
    this.fates = fates;
  }
}

/** Redrives dead letters of one projection in one transaction. Returns the fate of each. */
async function redriveBatch(
  pool: pg.Pool,
  applier: Applier,
  ids: readonly LetterId[],
  { by, dryRun }: Pick<RedriveOptions, 'by' | 'dryRun'>,
): Promise<readonly Fate[]> {
  return await withClient(pool, async (client) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await inTransaction(client, async () => {
          const fates = await applyLetters(client, applier, ids, by);
          if (dryRun) throw new Undo(fates);
          return fates;
        });
      } catch (error) {
        if (error instanceof Undo) return error.fates;
        if (!isLockError(error) || attempt >= LOCK_ATTEMPTS) throw error;
      }
    }
  });
}

/** Makes all changes of a redrive in the caller's transaction. */
async function applyLetters(
  client: pg.ClientBase,
  applier: Applier,
  ids: readonly LetterId[],
  by: string,
): Promise<readonly Fate[]> {
  const { projection, tenants, shapes } = applier;
  const nexts = await lockPartitions(client, projection.name, ids);
  const fates = new Map<string, Fate>();
  const changes: SourceChange[] = [];
  const idOf = new Map<SourceChange, LetterId>();
  for (const { id, record } of await lockRecords(client, ids)) {
    try {
      const [change] = await decodeRecord(applier, id, record);
      changes.push(change!);
      idOf.set(change!, id);
    } catch (error) {
      fates.set(toLetterId(id), { kind: 'left', reason: toUnreadable(error), mayPass: false });
    }
  }
  // A parked change of the row may be older or newer: both are applied in order once the row is no longer parked.
  const { parked } = await readHeldKeys(
    client,
    projection.name,
    changes.map(({ legacyKey }) => legacyKey),
  );
  // After the start of a replay, the log delivers the change again, after the older ones of its row.
  const isHeld = ({ legacyKey, record }: SourceChange) =>
    parked.has(legacyKey) || record.offset >= (nexts.get(`${record.topic}/${record.partition}`) ?? record.offset + 1n);
  const free = changes.filter((change) => !isHeld(change));
  const mapDefects: Defect[] = [];
  const rows = [...byLegacyKey(free).values()].flatMap(
    (group) => mapGroup(projection, tenants, group, mapDefects) ?? [],
  );
  const outcome = await applyIsolated(client, projection, tenants, shapes, rows);
  const fateOf = (change: SourceChange, fate: Fate) => fates.set(toLetterId(idOf.get(change)!), fate);
  for (const change of changes) if (isHeld(change)) fateOf(change, { kind: 'held' });
  for (const { row, reason, code } of outcome.blocked) {
    for (const change of row.changes) fateOf(change, { kind: 'left', reason, mayPass: WAITING.has(code) });
  }
  for (const { change, reason } of [...mapDefects, ...outcome.defects])
    fateOf(change, { kind: 'left', reason, mayPass: false });
  for (const { changes: tried } of outcome.applied) {
    for (const change of tried) fateOf(change, { kind: change === tried.at(-1) ? 'applied' : 'overtaken' });
  }
  await setReasons(
    client,
    projection.version,
    ids.flatMap((id) => {
      const fate = fates.get(toLetterId(id));
      return fate?.kind === 'left' ? [{ id, reason: fate.reason }] : [];
    }),
  );
  await resolveDeadLetters(
    client,
    projection.name,
    outcome.applied.flatMap((row) => toAppliedChanges(projection, row)),
    `redriven by ${by}`,
  );
  // Those resolved before they could be locked have no fate.
  return ids.map((id) => fates.get(toLetterId(id)) ?? { kind: 'overtaken' });
}

/**
 * Locks what a projector and its retry of parked changes lock first, so that no other session parks or applies changes of these partitions meanwhile. Returns the
 * partitions' next offsets.
 */
async function lockPartitions(
  client: pg.ClientBase,
  projection: string,
  ids: readonly LetterId[],
): Promise<Map<string, bigint>> {
  await client.query(`SELECT pg_advisory_xact_lock(${PARKED_LOCK})`, [projection]);
  const { rows } = await client.query<{ name: string; next: string }>(
    `SELECT o.topic || '/' || o.partition AS name, o.next_offset::text AS next FROM consumer_offset o
     WHERE o.projection = $1 AND (o.topic, o.partition) IN (SELECT * FROM unnest($2::text[], $3::int[])) ORDER BY o.topic, o.partition FOR UPDATE`,
    [projection, ids.map(({ topic }) => topic), ids.map(({ partition }) => partition)],
  );
  return new Map(rows.map((row) => [row.name, BigInt(row.next)]));
}

function decodeRecord({ decoder }: Applier, id: LetterId, { key, value }: LetterRecord): Promise<SourceChange[]> {
  return decoder.decode(id.topic, id.partition, [{ offset: BigInt(id.offset), key, value }]);
}

/** Returns why a record cannot be read. Rethrows an error that may pass. */
function toUnreadable(error: unknown): string {
  const found = toCrosswalkError(error, 'schema registry');
  if (found.code === 'server_down' || found.code === 'auth_failed' || found.code === 'tls_refused') throw found;
  return found.code === 'source_changed'
    ? 'its schema lacks a column that the projection requires'
    : 'its record cannot be decoded';
}
