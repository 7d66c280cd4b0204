// Changes written by hand, delivered batch by batch: what happens in which order is the test's own.

import type pg from 'pg';
import { toLsnText } from '../../changes/lsn.ts';
import type { Position } from '../../connectors/position.ts';
import { createTenants } from '../../pipelines/crm/tenants.ts';
import { createParkedRetry } from '../../projectors/parked.ts';
import type { Cell, LegacyRow, Projection, Tenants } from '../../projectors/projection.ts';
import type { SourceChange } from '../../projectors/source-change.ts';
import { createProjectionStatus } from '../../projectors/status.ts';
import { applyChanges, type SliceOutcome } from '../../projectors/write/apply-changes.ts';
import { readTargetShapes, type TargetShapes } from '../../projectors/write/catalog.ts';
import { ensureOffsets } from '../../projectors/write/offsets.ts';
import { createLog } from '../../runtime/log.ts';
import { logDecoder, topicOf } from './change-log.ts';
import { projections as ofTree } from './crm.ts';
import { legacyKeyOf } from './legacy-shape.ts';

const PARTITIONS = 4;
const TIME = '2024-03-01 10:00:00+00';

/** A legacy contact; columns left out are null. */
export function contactRow(id: string, cells: Readonly<Record<string, Cell>> = {}): LegacyRow {
  return { id, opted_out: 'f', created_at: TIME, updated_at: TIME, ...cells };
}

/** A legacy quote that implies a quote and a customer; columns left out are null. */
export function quoteRow(id: string, cells: Readonly<Record<string, Cell>> = {}): LegacyRow {
  return { id, status: 'draft', created_at: TIME, updated_at: TIME, ...cells };
}

/** A legacy status option. */
export function optionRow(id: string, name = `Option ${id}`): LegacyRow {
  return { id, workspace_id: 'w', category: 'lead', name, sort_order: '0', is_default: 'f', is_active: 't' };
}

/** `deliver` appends changes (a row, or a key that was deleted) of one transaction to a partition and applies them as one batch. */
export interface ScriptedLog {
  deliver(
    table: string,
    partition: number,
    ...rows: (LegacyRow | { readonly deleted: string })[]
  ): Promise<SliceOutcome>;
  /** Appends without applying: the log holds more than has been applied. */
  append(table: string, partition: number, ...rows: (LegacyRow | { readonly deleted: string })[]): SourceChange[];
  apply(table: string, partition: number, changes: readonly SourceChange[]): Promise<SliceOutcome>;
  /** Applies at an offset other than the partition's own. */
  applyAt(table: string, partition: number, changes: readonly SourceChange[], expected: bigint): Promise<SliceOutcome>;
  /** Retries parked changes of a projection in the background until closed; `loaded` says whether the initial load is done. */
  retryParked(name: string, loaded?: () => boolean): { wake(): void; close(): Promise<void> };
  /** Replaces a projection, as a new version of the program would. */
  replace(projection: Projection): void;
  readonly shapes: TargetShapes;
}

/** A log that is applied with the given pool. The target must be migrated and empty. `projections`: of one source each, those of the tree by default. */
export async function createScriptedLog(
  pool: pg.Pool,
  tenants: Tenants = createTenants({}),
  projections: readonly Projection[] = ofTree,
): Promise<ScriptedLog> {
  const shapes = await readTargetShapes(pool, projections);
  const current = new Map(projections.map((projection) => [projection.source, projection]));
  for (const { name, source } of projections) await ensureOffsets(pool, name, topicOf(source), PARTITIONS);
  const ends = new Map<string, bigint>();
  const nexts = new Map<string, bigint>();
  let lsn = 0x100_0000n;
  const failures: unknown[] = [];

  const log: ScriptedLog = {
    append: (table, partition, ...rows) => {
      lsn += 0x58n;
      return rows.map((row) => {
        const isDelete = 'deleted' in row && typeof row.deleted === 'string';
        const legacyKey = isDelete ? (row.deleted as string) : legacyKeyOf(table, row as LegacyRow);
        const name = `${table}/${partition}`;
        const offset = ends.get(name) ?? 0n;
        ends.set(name, offset + 1n);
        const second = String(Number((lsn - 0x100_0000n) / 0x58n) % 60).padStart(2, '0');
        const minute = String(Math.floor(Number((lsn - 0x100_0000n) / 0x58n) / 60) % 60).padStart(2, '0');
        const change: Omit<SourceChange, 'record'> = {
          legacyKey,
          op: isDelete ? 'd' : 'u',
          before: null,
          after: isDelete ? null : (row as LegacyRow),
          lineage: { lsn: toLsnText(lsn), xid: '7', committedAt: `2024-06-01 10:${minute}:${second}+00` },
          identity: `1/${toLsnText(lsn)}/${offset}`,
          repair: null,
        };
        const value = Buffer.from(JSON.stringify(change));
        return { ...change, record: { topic: topicOf(table), partition, offset, key: Buffer.from(legacyKey), value } };
      });
    },
    applyAt: async (table, partition, changes, expected) => {
      const projection = current.get(table)!;
      const next = (changes.at(-1)?.record.offset ?? expected - 1n) + 1n;
      const of = { projection: projection.name, topic: topicOf(table), partition };
      return await applyChanges(pool, { projection, tenants, shapes }, of, { changes, expected, next });
    },
    apply: async (table, partition, changes) => {
      const name = `${table}/${partition}`;
      const outcome = await log.applyAt(table, partition, changes, nexts.get(name) ?? 0n);
      nexts.set(name, changes.at(-1)!.record.offset + 1n);
      return outcome;
    },
    deliver: (table, partition, ...rows) => log.apply(table, partition, log.append(table, partition, ...rows)),
    retryParked: (source, loaded = () => true) => {
      const projection = current.get(source)!;
      const retry = createParkedRetry({
        tables: projections.map((known) => known.source),
        readPosition: async () => positionOf(projections, ends, loaded()),
        pool,
        applier: { projection, tenants, shapes, decoder: logDecoder },
        status: createProjectionStatus(projection.name),
        log: createLog('silent'),
        onFailure: (error) => failures.push(error),
      });
      return {
        wake: () => retry.wake(),
        close: async () => {
          await retry.close();
          if (failures.length > 0) throw failures[0];
        },
      };
    },
    replace: (projection) => void current.set(projection.source, projection),
    shapes,
  };
  return log;
}

function positionOf(projections: readonly Projection[], ends: ReadonlyMap<string, bigint>, done: boolean): Position {
  return {
    bound: { systemId: '', timeline: 1, database: '', slot: '', clusterId: '' },
    lsn: 0n,
    sourceMicros: 0n,
    unseenXids: [],
    snapshot: Object.fromEntries(projections.map(({ source }) => [source, { done, lastKey: null, rows: 0 }])),
    offsets: Object.fromEntries(
      projections.map(({ source }) => [
        topicOf(source),
        Array.from({ length: PARTITIONS }, (_, partition) => String(ends.get(`${source}/${partition}`) ?? 0n)),
      ]),
    ),
  };
}
