import type pg from 'pg';
import type { Aggregate, OwnedTarget, Projection } from '../projection.ts';
import type { Lineage } from '../source-change.ts';
import type { TargetShapes } from './catalog.ts';
import { toJsonbRows } from './jsonb-rows.ts';
import { type TargetShape, writeSql } from './statements.ts';

/** Rows of one table to write. Rows within a scope that are not listed are retracted. */
export interface TargetWrites {
  readonly scopes: readonly {
    readonly value: string;
    /** Legacy row that the change belongs to. */
    readonly legacyKey: string;
    readonly lineage: Lineage;
    readonly ids: readonly string[];
  }[];
  /** Cells in the order of `writtenColumns`, as `toJsonbRows` encodes them. */
  readonly rows: Buffer;
}

interface Prepared {
  readonly name: string;
  readonly text: string;
  readonly targets: readonly TargetShape[];
}

const prepared = new WeakMap<TargetShapes, Map<string, Prepared>>();

/** The projection or aggregate whose targets are written, and whether that is a repair. */
interface Owner {
  readonly projection: Projection;
  readonly aggregate?: Aggregate;
  readonly isRepair: boolean;
}

/** Writes all targets of a projection, or of one of its aggregates, in one statement. */
export async function writeTargets(
  client: pg.ClientBase,
  owner: Owner,
  shapes: TargetShapes,
  writes: ReadonlyMap<string, TargetWrites>,
): Promise<void> {
  const { name, text, targets } = prepare(owner, shapes);
  // A projection may feed an aggregate and own no rows.
  if (targets.length === 0) return;
  const values: (string | Buffer)[] = [owner.projection.source, owner.projection.version];
  for (const target of targets) {
    const { scopes, rows } = writes.get(target.shape.table) ?? { scopes: [], rows: toJsonbRows([]) };
    // With `id` as scope, a row that is still implied cannot have to be retracted.
    const retractions = target.scopeColumn === 'id' ? scopes.filter((scope) => scope.ids.length === 0) : scopes;
    values.push(
      JSON.stringify(
        retractions.map(({ value, legacyKey, lineage: { lsn, xid, committedAt }, ids }) => [
          ...[value, lsn, xid, committedAt, ids, legacyKey],
        ]),
      ),
      rows,
    );
  }
  await client.query({ name, text, values });
}

function prepare({ projection, aggregate, isRepair }: Owner, shapes: TargetShapes): Prepared {
  const name = `crosswalk ${isRepair ? 'repair' : 'write'} ${projection.name} ${aggregate?.name ?? ''}`;
  const ofShapes = prepared.get(shapes) ?? new Map<string, Prepared>();
  prepared.set(shapes, ofShapes);
  const known = ofShapes.get(name);
  if (known !== undefined) return known;
  const targets: TargetShape[] =
    aggregate === undefined
      ? projection.owned.map((target) => ({
          shape: shapes.get(target.table)!,
          columns: ownedColumns(target, isRepair),
          blank: target.blank ?? [],
          scopeColumn: target.scope.column,
          retract: target.retract,
          isMerged: false,
          isRepair,
        }))
      : aggregate.targets.map((target) => ({
          shape: shapes.get(target.table)!,
          columns: target.columns,
          scopeColumn: target.key,
          retract: 'soft-delete',
          isMerged: true,
          ...(target.ownedFrom === undefined ? {} : { ownedFrom: target.ownedFrom }),
          isRepair,
        }));
  const made = { name, text: writeSql(targets), targets };
  ofShapes.set(name, made);
  return made;
}

/** Columns written to an owned table. A repair also writes those that are null because others write them. */
export function ownedColumns({ columns, blank = [] }: OwnedTarget, isRepair: boolean): readonly string[] {
  return isRepair ? [...columns, ...blank] : columns;
}
