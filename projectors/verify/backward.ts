import type { Relation } from '../../changes/change.ts';
import { quoteIdent } from '../../schemas/quote.ts';
import type { Cell } from '../projection.ts';
import type { RowResult } from './compare-key.ts';
import { isolating } from './isolating.ts';
import { findAbsent, toKeyTexts } from './legacy-rows.ts';
import type { Suspect } from './looks.ts';
import type { PartOptions } from './part.ts';
import type { OwnedPlan, Plan } from './plan.ts';
import { findNamed, type PartProgress } from './run-store.ts';
import { toTenantCondition } from './tenant-condition.ts';

/** Live projected rows that name the same legacy row and have the same scope. */
interface Group {
  readonly legacyTable: string;
  readonly legacyKey: string;
  /** Values of the scope columns of the projections that write the table, in their order. */
  readonly scopes: readonly string[];
  readonly rows: number;
}

interface Owner {
  readonly plan: Plan;
  readonly relation: Relation;
  readonly owned: OwnedPlan;
}

/** A group without a legacy row to account for it. `owner` null: no projection reads that table, or the key cannot be a key of it. */
interface Odd {
  readonly group: Group;
  readonly owner: { readonly plan: Plan; readonly relation: Relation; readonly keyTexts: readonly string[] } | null;
}

/** A legacy key, with the groups of rows that name it. */
interface Keyed {
  readonly legacyKey: string;
  readonly texts: readonly string[];
  readonly inside: readonly Group[];
  readonly outside: readonly Group[];
}

/** Blocks read together: a few thousand rows. */
const BLOCKS = 128;
const NO_STRAYS = new Map<string, ReadonlySet<string>>();

/** Projections that own rows of a table. */
export function ownersOf(table: string, plans: readonly Plan[], relations: ReadonlyMap<string, Relation>): Owner[] {
  return plans.flatMap((plan) =>
    plan.owned
      .filter(({ target }) => target.table === table)
      .map((owned) => ({ plan, owned, relation: relations.get(plan.projection.source)! })),
  );
}

/**
 * Reads the live rows of a table in block order, and finds rows that no legacy row can imply: their legacy key does not exist, or they are outside the
 * scope of the key that they name. The forward comparison covers everything else. A row that moves to another block meanwhile was written by a
 * projector.
 */
export async function compareBackward(
  options: PartOptions & { run: string; table: string; owners: readonly Owner[]; isFolded: boolean },
): Promise<void> {
  const { legacy, target, table, owners, tenant, findings, looks, pace, signal } = options;

  const scopes = owners.map(({ owned }) => `x.${quoteIdent(owned.target.scope.column)}`);
  const { hasDeletedAt } = owners[0]!.owned;
  const values = tenant === null ? [] : [tenant];
  const isLive = (fromBlock: number) =>
    [
      `x.ctid >= '(${fromBlock},0)' AND x.ctid < '(${fromBlock + BLOCKS},0)'`,
      `x.origin = 'cdc'`,
      ...(hasDeletedAt ? ['x.deleted_at IS NULL'] : []),
      ...(tenant === null ? [] : ['x.tenant_id = $1']),
    ].join(' AND ');

  async function read(fromBlock: number): Promise<Group[]> {
    const columns = ['x.legacy_table', 'x.legacy_key', ...scopes].join(', ');
    const { rows } = await target.query<string[]>({
      text: `SELECT count(*), ${columns} FROM ${quoteIdent(table)} x WHERE ${isLive(fromBlock)} GROUP BY ${columns}`,
      values,
      rowMode: 'array',
    });
    return rows.map((row) => ({
      rows: Number(row[0]),
      legacyTable: row[1]!,
      legacyKey: row[2]!,
      scopes: row.slice(3),
    }));
  }

  /** The rows of groups, with the details reported for an extra row. */
  async function readRows(fromBlock: number, groups: readonly Group[]): Promise<(RowResult & { group: Group })[]> {
    const { columns, numericAt } = owners[0]!.owned;
    const numeric = numericAt.map((at) => columns[at]!);
    const read = ['source_lsn', 'source_xid', 'source_committed_at', 'mapping_version', ...numeric].map(quoteIdent);
    const { rows } = await target.query<(string | null)[]>({
      text: `SELECT x.id, x.tenant_id, x.legacy_table, x.legacy_key, ${[...scopes, ...read].join(', ')} FROM ${quoteIdent(table)} x WHERE ${isLive(fromBlock)}
        AND (x.legacy_table, x.legacy_key) IN (SELECT * FROM unnest($${values.length + 1}::text[], $${values.length + 2}::text[]))`,
      values: [...values, groups.map((group) => group.legacyTable), groups.map((group) => group.legacyKey)],
      rowMode: 'array',
    });
    const byName = new Map(groups.map((group) => [nameOf(group.legacyTable, group.legacyKey, group.scopes), group]));
    return rows.flatMap(([id, tenant, legacyTable, legacyKey, ...rest]) => {
      const group = byName.get(nameOf(legacyTable!, legacyKey!, rest.slice(0, scopes.length)));
      if (group === undefined) return [];
      const [lsn, xid, committedAt, mappingVersion, ...numbers] = rest.slice(scopes.length) as Cell[];
      return {
        ...{ group, table, id: id!, tenant: tenant!, kind: 'extra' as const, cells: [], physical: null, merged: null },
        numbers: numeric.map((column, at) => ({ column, expected: null, actual: numbers[at]! })),
        lineage: { lsn: lsn!, xid: xid!, committedAt: committedAt!, mappingVersion: mappingVersion! },
      };
    });
  }

  /** In a run over one tenant, legacy rows of other tenants count as absent: rows that name them are shown to the wrong tenant. */
  async function absentOf(plan: Plan, relation: Relation, keyed: readonly Keyed[]): Promise<Keyed[]> {
    const absent = await findAbsent(
      legacy,
      relation,
      keyed.map(({ texts }) => texts),
      tenant === null ? null : toTenantCondition(plan.projection.tenant!.column, tenant),
    );
    return absent.map((place) => keyed[place]!);
  }

  async function compare(fromBlock: number, groups: readonly Group[], progress: PartProgress): Promise<void> {
    const sources = new Set(owners.map(({ plan }) => plan.projection.source));
    // If the table is folded as well, the folds account for every row that is not owned.
    const odd: Odd[] = groups
      .filter(({ legacyTable }) => !options.isFolded && !sources.has(legacyTable))
      .map((group) => ({ group, owner: null }));
    const suspects: Suspect[] = [];
    for (const [at, { plan, relation, owned }] of owners.entries()) {
      const keyed: Keyed[] = [];
      const byKey = new Map<string, Group[]>();
      for (const group of groups) {
        if (group.legacyTable !== plan.projection.source) continue;
        const named = byKey.get(group.legacyKey);
        if (named === undefined) byKey.set(group.legacyKey, [group]);
        else named.push(group);
      }
      for (const [legacyKey, named] of byKey) {
        const texts = toKeyTexts(relation, legacyKey);
        const scope = owned.target.scope.of(legacyKey);
        const isInside = (group: Group) => group.scopes[at] === scope;
        if (texts === null) odd.push(...named.map((group) => ({ group, owner: null })));
        else if (named.length === 1 && isInside(named[0]!))
          keyed.push({ legacyKey, texts, inside: named, outside: [] });
        else {
          const outside = named.filter((group) => !isInside(group));
          keyed.push({ legacyKey, texts, inside: named.filter(isInside), outside });
        }
      }
      await isolating(
        keyed,
        async (some) => {
          for (const { legacyKey, texts, inside } of await absentOf(plan, relation, some)) {
            if (inside.length > 0) suspects.push({ plan, relation, legacyKey, keyTexts: texts, strays: NO_STRAYS });
          }
          for (const { texts, outside } of some)
            odd.push(...outside.map((group) => ({ group, owner: { plan, relation, keyTexts: texts } })));
        },
        ({ inside, outside }) => odd.push(...[...inside, ...outside].map((group) => ({ group, owner: null }))),
      );
    }
    suspects.push(...(await addOdd(fromBlock, odd)));
    looks.add(suspects);
    await options.onProgress(
      groups.reduce((sum, group) => sum + group.rows, 0),
      progress,
    );
    await looks.untilRoom();
  }

  /**
   * Rows that nothing can ever imply are extra at once; the others become suspects. A row that names another key than its own is already recorded as
   * differing and is not a second finding.
   */
  async function addOdd(fromBlock: number, odd: readonly Odd[]): Promise<Suspect[]> {
    if (odd.length === 0) return [];
    const owner = new Map(odd.map((of) => [of.group, of.owner]));
    const rows = await readRows(fromBlock, [...owner.keys()]);
    const named = await findNamed(target, options.run, rows);
    return rows
      .filter(({ id }) => !named.has(`${table} ${id}`))
      .flatMap(({ group, ...result }) => {
        const of = owner.get(group)!;
        const { legacyTable, legacyKey } = group;
        if (of !== null) return [{ ...of, legacyKey, strays: new Map([[table, new Set([result.id])]]) }];
        findings.addRow(result, { legacyTable, legacyKey, explained: null }, true);
        return [];
      });
  }

  const { rows: size } = await target.query<{ blocks: string }>(
    `SELECT pg_relation_size($1::regclass) / current_setting('block_size')::int AS blocks`,
    [quoteIdent(table)],
  );
  const blocks = Number(size[0]!.blocks);
  const readAhead = (block: number) => {
    const groups = read(block);
    // It may fail while other groups are compared.
    groups.catch(() => undefined);
    return groups;
  };
  let block = Number(options.from.after?.[0] ?? 0);
  let next = readAhead(block);
  for (;;) {
    signal.throwIfAborted();
    const groups = await next;
    const from = block;
    block += BLOCKS;
    if (block < blocks) next = readAhead(block);
    await compare(from, groups, { after: [String(block)], done: block >= blocks });
    if (block >= blocks) return;
    await pace.take(groups.reduce((sum, group) => sum + group.rows, 0));
  }
}

function nameOf(legacyTable: string, legacyKey: string, scopes: readonly (string | null)[]): string {
  return JSON.stringify([legacyTable, legacyKey, scopes]);
}
