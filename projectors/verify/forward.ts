import { randomUUID } from 'node:crypto';
import { type Cells, keyPositions, type Relation } from '../../changes/change.ts';
import { type Chunk, readChunk } from '../../connectors/snapshot/chunks.ts';
import type { Tenants } from '../projection.ts';
import { toAsked, toChecksum, toChecksumSql, toParameters } from './checksum.ts';
import { type Figures, toFigures } from './findings.ts';
import { isolating } from './isolating.ts';
import { keyOfRow, toLegacyRow } from './legacy-rows.ts';
import type { Suspect } from './looks.ts';
import type { PartOptions } from './part.ts';
import { countImplied, type Plan, tenantOfLegacy, toExpected } from './plan.ts';
import type { PartProgress } from './run-store.ts';
import { toNullMark } from './spelling.ts';
import { toTenantCondition } from './tenant-condition.ts';

/** What is kept of a mapped legacy row. The rows it implies are many times larger and are dropped before the next row: a chunk of them would outlive the nursery of the heap. */
interface Mapped {
  readonly cells: Cells;
  readonly asked: readonly string[];
  readonly implied: number;
  readonly figures: Figures;
  /** Null if a checksum cannot decide. */
  readonly checksum: string | null;
}

const NO_STRAYS = new Map<string, ReadonlySet<string>>();

/**
 * Compares what every legacy row of a projection implies with the target, in chunks in key order. Rows that are as expected are done: equality needs no
 * fence. The others become suspects. While one chunk is compared, the next is mapped and the one after it is read.
 */
export async function compareForward(
  options: PartOptions & {
    plan: Plan;
    relation: Relation;
    tenants: Tenants;
    chunkRows: number;
    /** Also check rows that are as expected at first. */
    suspectAll: boolean;
  },
): Promise<void> {
  const { legacy, target, plan, relation, chunkRows, findings, looks, pace, signal } = options;
  const nullMark = toNullMark(randomUUID().slice(0, 13));
  const statement = { name: `crosswalk verify ${plan.projection.name}`, text: toChecksumSql(plan, nullMark) };
  // Rows without a tenant column only contribute to merged rows, and are compared for every tenant.
  const { tenant: named } = plan.projection;
  const selection =
    options.tenant === null || named === undefined
      ? undefined
      : { where: toTenantCondition(named.column, options.tenant), keys: null };

  const read = (after: readonly string[] | null): Promise<Chunk> => {
    const chunk = readChunk(legacy, relation, after, chunkRows, selection);
    // It may fail while another chunk is compared.
    chunk.catch(() => undefined);
    return chunk;
  };

  function map(rows: readonly Cells[]): Mapped[] {
    return rows.flatMap((cells) => {
      const row = toLegacyRow(relation, cells);
      const key = keyOfRow(relation, cells);
      const expected = toExpected(plan, key, row, options.tenants);
      if (expected === null) {
        findings.addUnmappable(plan, key, tenantOfLegacy(plan, row));
        return [];
      }
      return [
        {
          cells,
          asked: toAsked(plan, expected),
          implied: countImplied(expected),
          figures: toFigures(plan, expected, row),
          checksum: toChecksum(expected, plan, nullMark),
        },
      ];
    });
  }

  async function compare(mapped: readonly Mapped[], tooLarge: number, progress: PartProgress): Promise<void> {
    const suspects: Suspect[] = [];
    const equal: Mapped[] = [];
    const suspect = ({ cells }: Mapped) => {
      const keyTexts = keyPositions(relation).map((at) => cells[at]!);
      suspects.push({ plan, relation, legacyKey: keyOfRow(relation, cells), keyTexts, strays: NO_STRAYS });
    };
    await isolating(
      mapped,
      async (some) => {
        const values = toParameters(
          plan,
          some.map(({ asked }) => asked),
        );
        const { rows } = await target.query<[string]>({ ...statement, values, rowMode: 'array' });
        for (const [at, of] of some.entries()) {
          if (rows[at]![0] === of.checksum && !options.suspectAll) equal.push(of);
          else suspect(of);
        }
      },
      suspect,
    );
    for (const { figures } of equal) findings.addEqual(plan, figures);
    looks.add(suspects);
    await options.onProgress(mapped.length + tooLarge, progress);
    await looks.untilRoom();
  }

  let comparing = Promise.resolve();
  let next = read(options.from.after);
  for (;;) {
    signal.throwIfAborted();
    const chunk = await next;
    if (!chunk.isLast) next = read(chunk.lastKey);
    const mapped = map(chunk.rows);
    for (const { cells } of chunk.tooLarge) findings.addUnmappable(plan, keyOfRow(relation, cells), null, 'too large');
    await comparing;
    comparing = compare(mapped, chunk.tooLarge.length, { after: chunk.lastKey, done: chunk.isLast });
    comparing.catch(() => undefined);
    if (chunk.isLast) break;
    // The side with more rows sets the pace.
    const implied = mapped.reduce((sum, of) => sum + of.implied, 0);
    await pace.take(Math.max(chunk.rows.length, implied));
  }
  await comparing;
}
