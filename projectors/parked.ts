import type pg from 'pg';
import { parseLsn } from '../changes/lsn.ts';
import type { Position } from '../connectors/position.ts';
import type { Log } from '../runtime/log.ts';
import { inTransaction, parseBytea } from '../runtime/postgres.ts';
import { readWithin } from '../runtime/reading.ts';
import { PARKED_LOCK } from './session.ts';
import { byLegacyKey, type SourceChange } from './source-change.ts';
import type { ProjectionStatus } from './status.ts';
import type { MappedRow } from './write/apply.ts';
import type { Applier } from './write/apply-changes.ts';
import { resolveDeadLetters, toAppliedChanges, writeDeadLetters } from './write/dead-letters.ts';
import { applyIsolated, FOREIGN_KEY } from './write/isolate.ts';
import { toKeptHeaders } from './write/kept-records.ts';
import { type Defect, mapGroup } from './write/map-changes.ts';
import { withClient } from './write/with-client.ts';

const EVERY_MS = 250;
/** Timeout for reading the connector's position. */
const POSITION_MS = 5000;
/** The rest after a retry, as a multiple of its duration. */
const REST = 4;
/** Rounds between two checks while no change is known to be parked: a process that has ended may have left some. */
const IDLE_ROUNDS = 20;
/** Most parked records read together. */
const LIMIT = 2000;
/** Most bytes of their records, not counting the last one. */
const LIMIT_BYTES = 32_000_000;
/**
 * How often a refusal must be confirmed before the constraint counts as violated for good. One round: everything that the log held at the refusal is applied, the change
 * is still refused, and its row has no later change. More than one, because rows ahead of this one may hold a value that they release later.
 */
const ROUNDS = 3;

interface Refusal {
  readonly lastOffset: bigint;
  readonly waitFor: Position['offsets'];
  readonly rounds: number;
}

export interface ParkedRetry {
  /** Signals that changes may have been parked. */
  wake(): void;
  /** Tries once, immediately. No refusal is final. */
  now(): Promise<void>;
  close(): Promise<void>;
}

/** Retries parked changes while there are any, all changes of a projection together, since some wait for each other. */
export function createParkedRetry(options: {
  tables: readonly string[];
  /** The connector's stored position, null before the first. */
  readPosition: () => Promise<Position | null>;
  pool: pg.Pool;
  applier: Applier;
  status: ProjectionStatus;
  log: Log;
  onFailure: (error: unknown) => void;
}): ParkedRetry {
  const { tables, readPosition, pool, applier, status, log } = options;
  const { projection } = applier;
  const refusals = new Map<string, Refusal>();
  let mayHaveParked = true;
  let running: Promise<void> | null = null;

  async function retry(): Promise<void> {
    if (!mayHaveParked && !(await hasParked())) return;
    // The position only decides whether a refusal counts; changes that can be applied do not wait for Kafka.
    const reading = await readWithin(POSITION_MS, 'the position of the connector', async () => ({
      position: await readPosition(),
    }));
    const stored = reading.state === 'up' ? reading.position : null;
    // During the initial load the cause may not be in the log yet, so no refusal counts.
    const position = stored !== null && tables.every((table) => stored.snapshot[table]?.done) ? stored : null;
    mayHaveParked = await withClient(pool, async (client) => {
      const applied = await readApplied(client);
      return await inTransaction(client, () => retryAll(client, position, applied));
    });
  }

  /** All that a check costs while nothing is parked: every projection makes one every few seconds. */
  async function hasParked(): Promise<boolean> {
    const { rows } = await pool.query<{ found: string }>({
      name: 'crosswalk has parked',
      text: 'SELECT EXISTS (SELECT FROM parked_change WHERE projection = $1)::text AS found',
      values: [projection.name],
    });
    return rows[0]!.found === 'true';
  }

  /**
   * Returns the lowest next offset of each partition over all projections. In a shadow, projections that are not rebuilt count with their live offsets: they write the
   * rows that the shadow's rows reference.
   */
  async function readApplied(client: pg.ClientBase): Promise<Map<string, bigint>> {
    const { rows } = await client.query<{ topic: string; partition: string; next: string }>(
      `SELECT topic, partition::text, min(next_offset)::text AS next FROM (
         SELECT topic, partition, next_offset FROM consumer_offset
         UNION ALL SELECT l.topic, l.partition, l.next_offset FROM crosswalk.consumer_offset l WHERE NOT EXISTS (SELECT FROM consumer_offset o WHERE o.projection = l.projection)) applied
       GROUP BY 1, 2`,
    );
    return new Map(rows.map((row) => [`${row.topic}/${row.partition}`, BigInt(row.next)]));
  }

  /** Returns whether changes may still be parked. `position`: null until the initial load is done. */
  async function retryAll(
    client: pg.ClientBase,
    position: Position | null,
    applied: ReadonlyMap<string, bigint>,
  ): Promise<boolean> {
    const { rows: lock } = await client.query<{ held: string; shadow: string }>(
      `SELECT pg_try_advisory_xact_lock(${PARKED_LOCK})::text AS held, starts_with(current_schema(), 'crosswalk_shadow_')::text AS shadow`,
      [projection.name],
    );
    if (lock[0]?.held !== 'true') return true;
    // Every writer of these partitions locks the offset rows first, so no other session parks or applies changes meanwhile.
    await client.query(
      `SELECT FROM consumer_offset o WHERE projection = $1 AND EXISTS (SELECT FROM parked_change p
         WHERE p.projection = o.projection AND p.topic = o.topic AND p.partition = o.partition) ORDER BY topic, partition FOR UPDATE`,
      [projection.name],
    );
    const { rows: parked } = await client.query<{
      topic: string;
      partition: string;
      record_offset: string;
      record_key: string;
      record_value: string;
      reason: string;
      repair: string | null;
      context: string | null;
    }>(
      // Qualified names: the bare ones would mean the text columns of the result and sort offset 10 before 9.
      `WITH oldest AS (SELECT p.topic, p.partition, p.record_offset, p.source_lsn, octet_length(p.record_value) AS bytes FROM parked_change p
         WHERE p.projection = $1 ORDER BY p.source_lsn, p.topic, p.partition, p.record_offset LIMIT $2),
       fitting AS (SELECT o.topic, o.partition, o.record_offset FROM (SELECT *, sum(bytes) OVER (ORDER BY source_lsn, topic, partition, record_offset) - bytes AS before FROM oldest) o WHERE o.before < $3)
       SELECT p.topic, p.partition::text, p.record_offset::text, p.record_key, p.record_value, p.reason, p.repair::text, p.context FROM parked_change p
       JOIN fitting f ON f.topic = p.topic AND f.partition = p.partition AND f.record_offset = p.record_offset
       WHERE p.projection = $1 ORDER BY p.source_lsn, p.topic, p.partition, p.record_offset`,
      [projection.name, LIMIT, LIMIT_BYTES],
    );
    if (parked.length === 0) {
      refusals.clear();
      return false;
    }
    const changes: SourceChange[] = [];
    for (const row of parked) {
      const record = {
        offset: BigInt(row.record_offset),
        key: parseBytea(row.record_key),
        value: parseBytea(row.record_value),
        headers: toKeptHeaders(row),
      };
      changes.push(...(await applier.decoder.decode(row.topic, Number(row.partition), [record])));
    }
    const defects: Defect[] = [];
    const groups = [...byLegacyKey(changes).values()];
    const rows = groups.flatMap((group) => mapGroup(projection, applier.tenants, group, defects) ?? []);
    // Locks are held and the partitions stand still meanwhile. A row that probably has to wait longer is tried only if the attempt decides something.
    const mayLeave = (row: MappedRow) => !isDue(row.legacyKey, row.changes, position, applied);
    const outcome = await applyIsolated(client, projection, applier.tenants, applier.shapes, rows, mayLeave);
    const appliedRows = [...outcome.applied];
    const blocked = new Set<string>();
    const mayWaitForOthers = await readCauses(client);
    for (const row of outcome.left ?? []) {
      noteRefusal(row.legacyKey, row.changes, position);
      blocked.add(row.legacyKey);
    }
    for (const { row, reason, code } of outcome.blocked) {
      if (code === FOREIGN_KEY && mayWaitForOthers(row)) blocked.add(row.legacyKey);
      else if (isForGood(row.legacyKey, row.changes, position, applied)) {
        defects.push({ change: row.changes.at(-1)!, reason: `${reason}, with everything before it applied` });
        appliedRows.push(...(await applyEarlier(client, row)));
      } else blocked.add(row.legacyKey);
    }
    if (lock[0].shadow === 'true') {
      const waiting = [...(outcome.left ?? []), ...outcome.blocked.map(({ row }) => row)];
      appliedRows.push(
        ...(await applyBeforeHeld(
          client,
          waiting.filter(({ legacyKey }) => blocked.has(legacyKey)),
        )),
      );
    }
    // A change that cannot be mapped stays parked with the change before it and is retried with it.
    const settledDefects = [...defects, ...outcome.defects].filter(({ change }) => !blocked.has(change.legacyKey));
    const settled = changes.filter((change) => !blocked.has(change.legacyKey));
    for (const { legacyKey } of settled) refusals.delete(legacyKey);
    await removeParked(client, settled);
    await writeDeadLetters(client, projection, settledDefects);
    await resolveDeadLetters(
      client,
      projection.name,
      appliedRows.flatMap((row) => toAppliedChanges(projection, row)),
    );
    status.applied += appliedRows.length;
    status.deadLetters += settledDefects.length;
    if (settled.length > 0) {
      status.lastProgressMs = performance.now();
      log.info(
        { applied: appliedRows.length, waiting: blocked.size, defects: settledDefects.length },
        'parked changes tried again',
      );
    }
    // There may be more than the limit of one pass.
    return true;
  }

  /** For a row whose newest version cannot be applied: applies the last version that can. It was parked behind, or before, a change whose cause never came. */
  async function applyEarlier(client: pg.ClientBase, row: MappedRow): Promise<readonly MappedRow[]> {
    for (let { changes } = row; changes.length > 1; ) {
      const earlier = mapGroup(projection, applier.tenants, changes.slice(0, -1), []);
      if (earlier === null) break;
      const outcome = await applyIsolated(client, projection, applier.tenants, applier.shapes, [earlier]);
      if (outcome.applied.length > 0) return outcome.applied;
      changes = earlier.changes;
    }
    return [];
  }

  /** In a shadow: applies the versions of waiting rows that the live tables have as well. Of changes that came in one batch, the live tables may hold back only the last ones. */
  async function applyBeforeHeld(client: pg.ClientBase, waiting: readonly MappedRow[]): Promise<readonly MappedRow[]> {
    const several = waiting.filter(({ changes }) => changes.length > 1);
    if (several.length === 0) return [];
    const { rows } = await client.query<{ name: string }>(
      `SELECT topic || '/' || partition || '/' || record_offset AS name FROM crosswalk.parked_change WHERE projection = $1 AND legacy_key = ANY ($2)
       UNION SELECT topic || '/' || partition || '/' || record_offset FROM crosswalk.dead_letter
         WHERE projection = $1 AND legacy_key = ANY ($2) AND (resolved_at IS NULL OR resolution LIKE 'discarded %')`,
      [projection.name, several.map(({ legacyKey }) => legacyKey)],
    );
    const held = new Set(rows.map(({ name }) => name));
    const earlier = several.flatMap(({ changes }) => {
      const first = changes.findIndex(({ record }) => held.has(`${record.topic}/${record.partition}/${record.offset}`));
      return first < 1 ? [] : (mapGroup(projection, applier.tenants, changes.slice(0, first), []) ?? []);
    });
    if (earlier.length === 0) return [];
    const { applied } = await applyIsolated(client, projection, applier.tenants, applier.shapes, earlier);
    await removeParked(
      client,
      applied.flatMap(({ changes }) => changes),
    );
    return applied;
  }

  async function removeParked(client: pg.ClientBase, settled: readonly SourceChange[]): Promise<void> {
    await client.query(
      `DELETE FROM parked_change p USING unnest($2::text[], $3::int[], $4::bigint[]) AS s (topic, partition, record_offset)
       WHERE p.projection = $1 AND p.topic = s.topic AND p.partition = s.partition AND p.record_offset = s.record_offset`,
      [
        projection.name,
        settled.map(({ record }) => record.topic),
        settled.map(({ record }) => record.partition),
        settled.map(({ record }) => String(record.offset)),
      ],
    );
  }

  /**
   * Returns a test for whether the row that a foreign key names may be among the parked changes of other projections: a change that waits for a unique value, or an
   * earlier one that waits for a foreign key itself. Earlier means by commit, and within a transaction by the order of the captured tables, parents first. A later one
   * never counts, or two projections could wait for each other forever. In a shadow, projections that are not rebuilt count with their live parked changes.
   */
  async function readCauses(client: pg.ClientBase): Promise<(row: MappedRow) => boolean> {
    const { rows } = await client.query<{ is_unique: string; topic: string; lsn: string }>(
      `SELECT (p.reason LIKE '23505%' OR p.reason LIKE '23P01%')::text AS is_unique, p.topic, min(p.source_lsn)::text AS lsn FROM (
         SELECT projection, topic, source_lsn, reason FROM parked_change
         UNION ALL SELECT l.projection, l.topic, l.source_lsn, l.reason FROM crosswalk.parked_change l WHERE NOT EXISTS (SELECT FROM consumer_offset o WHERE o.projection = l.projection)) p
       WHERE p.projection <> $1 GROUP BY 1, 2`,
      [projection.name],
    );
    const rankOf = (topic: string) => tables.indexOf(topic.slice(topic.lastIndexOf('.') + 1));
    const causes = rows.map(({ is_unique, topic, lsn }) => ({
      isUnique: is_unique === 'true',
      lsn: parseLsn(lsn),
      rank: rankOf(topic),
    }));
    const ownRank = tables.indexOf(projection.source);
    return ({ changes }) => {
      const lsn = parseLsn(changes[0]!.lineage.lsn);
      return causes.some((cause) => cause.isUnique || cause.lsn < lsn || (cause.lsn === lsn && cause.rank < ownRank));
    };
  }

  function isForGood(
    legacyKey: string,
    changes: readonly SourceChange[],
    position: Position | null,
    applied: ReadonlyMap<string, bigint>,
  ): boolean {
    if (position === null || !isDue(legacyKey, changes, position, applied)) {
      noteRefusal(legacyKey, changes, position);
      return false;
    }
    const rounds = refusals.get(legacyKey)!.rounds + 1;
    refusals.set(legacyKey, { lastOffset: changes.at(-1)!.record.offset, waitFor: position.offsets, rounds });
    return rounds >= ROUNDS;
  }

  /** Whether everything that the log held when the row was last refused is applied, so that another refusal counts. */
  function isDue(
    legacyKey: string,
    changes: readonly SourceChange[],
    position: Position | null,
    applied: ReadonlyMap<string, bigint>,
  ): boolean {
    if (position === null) return false;
    const refusal = refusals.get(legacyKey);
    if (refusal === undefined || refusal.lastOffset !== changes.at(-1)!.record.offset) return false;
    return [...applied].every(([partition, next]) => {
      const slash = partition.lastIndexOf('/');
      return next >= BigInt(refusal.waitFor[partition.slice(0, slash)]?.[Number(partition.slice(slash + 1))] ?? '0');
    });
  }

  /** Records the first refusal of a row's last version. */
  function noteRefusal(legacyKey: string, changes: readonly SourceChange[], position: Position | null): void {
    if (position === null) return;
    const lastOffset = changes.at(-1)!.record.offset;
    if (refusals.get(legacyKey)?.lastOffset === lastOffset) return;
    refusals.set(legacyKey, { lastOffset, waitFor: position.offsets, rounds: 0 });
  }

  let idleRounds = 0;
  let restUntilMs = 0;
  const timer = setInterval(() => {
    if (running !== null || performance.now() < restUntilMs) return;
    if (!mayHaveParked && ++idleRounds < IDLE_ROUNDS) return;
    idleRounds = 0;
    const startMs = performance.now();
    running = retry()
      .catch(options.onFailure)
      .finally(() => {
        running = null;
        // Leaves the partitions to new changes most of the time.
        restUntilMs = performance.now() + REST * (performance.now() - startMs);
      });
  }, EVERY_MS);
  return {
    wake: () => {
      mayHaveParked = true;
    },
    async now() {
      await running;
      await withClient(pool, (client) => inTransaction(client, () => retryAll(client, null, new Map())));
    },
    async close() {
      clearInterval(timer);
      await running;
    },
  };
}
