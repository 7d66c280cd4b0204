import type pg from 'pg';
import type { Relation } from '../../changes/change.ts';
import { askAndWait } from '../../connectors/snapshot/request.ts';
import { MOST_KEYS } from '../../connectors/snapshot/signal.ts';
import type { Config } from '../../runtime/config.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import { quoteIdent, quoteTable } from '../../schemas/quote.ts';
import type { Projection, Tenants } from '../projection.ts';
import type { RepairHint } from '../source-change.ts';
import { createFindings } from './findings.ts';
import { compareMergeKeys } from './folds.ts';
import { isolating } from './isolating.ts';
import { findAbsent, toKeyTexts } from './legacy-rows.ts';
import { createLooks, type Strays } from './looks.ts';
import { CONTRIBUTION, type Plan } from './plan.ts';
import { type Difference, MISPLACED, readCounts, toDifference } from './run-store.ts';
import { openSessions, type Sessions } from './sessions.ts';
import { createTally } from './tally.ts';

/** A difference that remains, with the reason. */
export interface LeftDifference extends Difference {
  readonly reason: string;
}

/** Result of a repair. Counts are rows. */
export interface Repair {
  readonly rounds: number;
  /** Legacy rows sent again. */
  readonly sent: number;
  readonly repaired: number;
  /** Rows that still differ. */
  readonly leftRows: number;
  /** Rows that were only counted and not recorded: another run finds them again. */
  readonly beyond: number;
  /** The first of the remaining differences. */
  readonly left: readonly LeftDifference[];
}

/** Maximum number of rounds: a repair may have been parked, so remaining rows are sent again. */
const MOST_ROUNDS = 3;
/** Legacy rows per signal: with their hints they must fit into it. */
const KEYS_AT_ONCE = Math.min(500, MOST_KEYS);
const NO_CARRIER =
  'its legacy key is no key of a captured table, so that nothing can be sent for it: remove it by hand';

interface Line {
  readonly number: string;
  readonly difference: Difference;
}

/** A legacy key to send again, with the differences that it repairs. */
interface Carrier {
  readonly plan: Plan;
  readonly relation: Relation;
  readonly legacyKey: string;
  readonly keyTexts: readonly string[];
  readonly lines: Line[];
}

/**
 * Repairs the differences of a run through the log: the connector reads their legacy rows again, marked as repairs; once they are applied, the rows are
 * checked again. Only projectors write projected tables. Throws `not_reached` if connector or projectors make no progress.
 */
export async function repairRun(
  config: Config,
  projections: readonly Projection[],
  tenants: Tenants,
  run: string,
  options: {
    kafka: Kafka;
    signal: AbortSignal;
    timeoutMs?: number;
    onProgress?: (rows: number, total: number) => void;
  },
): Promise<Repair> {
  const { kafka, signal, timeoutMs = 600_000 } = options;
  const sessions = await openSessions(config, kafka, projections, { tenant: null, timeoutMs, signal });
  try {
    const reasons = new Map<string, string>();
    let sent = 0;
    let rounds = 0;
    const total = await countRows(sessions.store, run, 'repaired_at IS NULL');
    for (; rounds < MOST_ROUNDS; rounds += 1) {
      const left = await countRows(sessions.store, run, 'repaired_at IS NULL');
      if (left === 0 || (rounds > 0 && left === reasons.size)) break;
      let after = '0';
      for (;;) {
        signal.throwIfAborted();
        const lines = await readLines(sessions.store, run, after);
        if (lines.length === 0) break;
        after = lines.at(-1)!.number;
        const carriers = await toCarriers(sessions, lines, reasons);
        for (const [plan, some] of Map.groupBy(carriers, (carrier) => carrier.plan)) {
          for (let at = 0; at < some.length; at += KEYS_AT_ONCE) {
            const part = some.slice(at, at + KEYS_AT_ONCE);
            await send(config, kafka, plan, part, { signal, timeoutMs });
            sent += part.length;
            await sessions.fence.pass(sessions.legacy, [plan.projection]);
            await lookAgain(sessions, tenants, run, part, signal);
            options.onProgress?.(total - (await countRows(sessions.store, run, 'repaired_at IS NULL')), total);
          }
        }
      }
    }
    await publish(sessions.store, run);
    const left = await readLines(sessions.store, run, '0');
    const counts = [...(await readCounts(sessions.store, run)).values()];
    const found = counts.reduce((sum, { missing, extra, differing }) => sum + missing + extra + differing, 0);
    const beyond = Math.max(0, found - (await countRows(sessions.store, run, 'true')));
    return {
      ...{ rounds, sent, repaired: await countRows(sessions.store, run, 'repaired_at IS NOT NULL') },
      ...{ leftRows: await countRows(sessions.store, run, 'repaired_at IS NULL'), beyond },
      left: left.map(({ number, difference }) => ({
        ...difference,
        reason: reasons.get(number) ?? 'it was sent again, and differs again',
      })),
    };
  } finally {
    await sessions.close();
  }
}

/** Number of rows that a run has recorded as different. */
export async function countRows(store: pg.ClientBase, run: string, condition: string): Promise<number> {
  const { rows } = await store.query<{ count: string }>(
    `SELECT count(DISTINCT (table_name, row_id)) FROM verification_difference WHERE run_id = $1 AND kind <> 'unsettled' AND ${condition}`,
    [run],
  );
  return Number(rows[0]!.count);
}

/** The next unrepaired differences, a bounded number of them. */
async function readLines(store: pg.ClientBase, run: string, after: string): Promise<Line[]> {
  const { rows } = await store.query<Record<string, string | null>>(
    `SELECT * FROM verification_difference WHERE run_id = $1 AND repaired_at IS NULL AND kind <> 'unsettled' AND number > $2 ORDER BY number LIMIT $3`,
    [run, after, 5 * KEYS_AT_ONCE],
  );
  return rows.map((row) => ({ number: row.number!, difference: toDifference(row) }));
}

/** Finds the legacy key that repairs each difference. A difference without one gets a reason instead. */
async function toCarriers(
  { plans, relations, legacy }: Sessions,
  lines: readonly Line[],
  reasons: Map<string, string>,
): Promise<Carrier[]> {
  const carriers = new Map<string, Carrier>();
  const isKey = new Map<string, boolean>();
  for (const line of lines) {
    const { legacyTable, legacyKey, aggregate, table } = line.difference;
    const writers = plans.filter((plan) => isWrittenBy(plan, table, aggregate));
    const named = writers.find(({ projection }) => projection.source === legacyTable);
    let found: { readonly plan: Plan; readonly key: string } | null = null;
    if (named !== undefined && legacyKey !== null) {
      const name = `${legacyTable} ${legacyKey}`;
      const relation = relations.get(named.projection.source)!;
      if (!isKey.has(name)) isKey.set(name, await isKeyOf(legacy, relation, legacyKey));
      if (isKey.get(name)) found = { plan: named, key: legacyKey };
    }
    // Any legacy row of any contributing legacy table makes the projector fold a merged row again.
    if (found === null && aggregate !== null && table !== CONTRIBUTION) {
      for (const plan of writers) {
        const key = await findAnyKey(legacy, relations.get(plan.projection.source)!);
        if (key === null) continue;
        found = { plan, key };
        break;
      }
    }
    if (found === null) {
      reasons.set(line.number, NO_CARRIER);
      continue;
    }
    const { plan, key } = found;
    const relation = relations.get(plan.projection.source)!;
    const name = `${plan.projection.name} ${key}`;
    const keyTexts = toKeyTexts(relation, key)!;
    const carrier = carriers.get(name) ?? { plan, relation, legacyKey: key, keyTexts, lines: [] };
    carriers.set(name, carrier);
    carrier.lines.push(line);
  }
  return [...carriers.values()];
}

/** `aggregate`: that of a merged row or a contribution. */
function isWrittenBy({ owned, merged }: Plan, table: string, aggregate: string | null): boolean {
  if (aggregate !== null) return merged.some((of) => of.aggregate.name === aggregate);
  return owned.some(({ target }) => target.table === table);
}

async function isKeyOf(legacy: pg.ClientBase, relation: Relation, key: string): Promise<boolean> {
  const texts = toKeyTexts(relation, key);
  let isValid = texts !== null;
  await isolating(
    texts === null ? [] : [texts],
    async (keys) => void (await findAbsent(legacy, relation, keys)),
    () => {
      isValid = false;
    },
  );
  return isValid;
}

async function findAnyKey(legacy: pg.ClientBase, { schema, table, key }: Relation): Promise<string | null> {
  const { rows } = await legacy.query<string[]>({
    text: `SELECT ${key.map(quoteIdent).join(', ')} FROM ${quoteTable(schema, table)} LIMIT 1`,
    rowMode: 'array',
  });
  const texts = rows[0];
  return texts === undefined ? null : texts.length === 1 ? texts[0]! : JSON.stringify(texts);
}

/** Has the connector read legacy rows again, and waits until they are in the log. */
async function send(
  config: Config,
  kafka: Kafka,
  { projection }: Plan,
  carriers: readonly Carrier[],
  options: { signal: AbortSignal; timeoutMs: number },
): Promise<void> {
  const request = {
    table: projection.source,
    keys: carriers.map(({ keyTexts }) => keyTexts),
    repair: true,
    hints: Object.fromEntries(carriers.map((carrier) => [carrier.legacyKey, toHint(carrier)])),
  };
  const { id, state, reason } = await askAndWait(config, kafka, request, options);
  if (state === 'done') return;
  throw new CrosswalkError(
    'not_reached.repair',
    `The snapshot ${id} that repairs ${projection.source} ended as ${state}${reason === undefined ? '' : `: ${reason}`}`,
  );
}

/** Rows that no legacy row implies, and merge keys to fold again. */
function toHint({ plan, lines }: Carrier): RepairHint {
  const rows: Record<string, string[]> = {};
  const refold: Record<string, string[]> = {};
  const add = (lists: Record<string, string[]>, name: string, item: string) => {
    lists[name] ??= [];
    if (!lists[name].includes(item)) lists[name].push(item);
  };
  for (const { difference } of lines) {
    const { kind, table, id, aggregate, mergeKey } = difference;
    if (aggregate !== null && mergeKey !== null) add(refold, aggregate, mergeKey);
    else if (kind === 'extra' && plan.owned.some(({ target }) => target.table === table)) add(rows, table, id);
  }
  return {
    ...(Object.keys(rows).length === 0 ? {} : { rows }),
    ...(Object.keys(refold).length === 0 ? {} : { refold }),
  };
}

/** Checks the rows that were sent again, and marks equal ones as repaired. A row that changes at every check is not known to be equal. */
async function lookAgain(
  { lookers, fence, target, store }: Sessions,
  tenants: Tenants,
  run: string,
  carriers: readonly Carrier[],
  signal: AbortSignal,
): Promise<void> {
  const findings = createFindings(createTally(), []);
  const looks = createLooks({ sessions: lookers, fence, tenants, findings, signal });
  try {
    looks.add(
      carriers.map(({ plan, relation, legacyKey, keyTexts, lines }) => ({
        ...{ plan, relation, legacyKey, keyTexts },
        strays: toStrays(lines),
      })),
    );
    await looks.drain();
  } finally {
    await looks.close();
  }
  const different = new Set(findings.takeDifferences().map(({ table, id }) => `${table} ${id}`));
  for (const { projection, legacyKey } of findings.unmappable) {
    const carrier = carriers.find((of) => of.plan.projection.name === projection && of.legacyKey === legacyKey);
    for (const { difference } of carrier?.lines ?? []) different.add(`${difference.table} ${difference.id}`);
  }
  for (const [plan, some] of Map.groupBy(carriers, (carrier) => carrier.plan)) {
    for (const merged of plan.merged) {
      const mergeKeys = some.flatMap(({ lines }) =>
        lines.flatMap(({ difference: { aggregate, mergeKey, table } }) =>
          aggregate === merged.aggregate.name && mergeKey !== null && table !== CONTRIBUTION ? [mergeKey] : [],
        ),
      );
      if (mergeKeys.length === 0) continue;
      const again = await compareMergeKeys(target, plan, merged, [...new Set(mergeKeys)], findings);
      for (const { table, id } of again) different.add(`${table} ${id}`);
    }
  }
  const repaired = carriers
    .flatMap(({ lines }) => lines)
    .filter(({ difference }) => !different.has(`${difference.table} ${difference.id}`));
  await store.query(
    'UPDATE verification_difference SET repaired_at = now() WHERE run_id = $1 AND number = ANY ($2::bigint[])',
    [run, repaired.map(({ number }) => number)],
  );
}

function toStrays(lines: readonly Line[]): Strays {
  const extras = lines.filter(({ difference: { kind, aggregate } }) => kind === 'extra' && aggregate === null);
  const byTable = Map.groupBy(extras, ({ difference }) => difference.table);
  return new Map([...byTable].map(([table, some]) => [table, new Set(some.map(({ difference }) => difference.id))]));
}

/** Subtracts repaired rows from the published differences of the run. */
async function publish(store: pg.ClientBase, run: string): Promise<void> {
  const isOfTenant = `(v.tenant_id = '*' OR d.tenant_id = v.tenant_id)`;
  await store.query(
    `UPDATE verified v SET checked_at = now(), differences = (SELECT count(DISTINCT row_id) FROM verification_difference d WHERE d.run_id = $1 AND d.table_name = v.table_name AND d.actual = v.tenant_id AND ${MISPLACED})
       + greatest(0, (SELECT coalesce(sum(d.missing + d.extra + d.differing), 0) FROM verification_count d WHERE d.run_id = $1 AND d.table_name = v.table_name AND ${isOfTenant})
         - (SELECT count(DISTINCT row_id) FROM verification_difference d WHERE d.run_id = $1 AND d.table_name = v.table_name AND d.kind <> 'unsettled' AND ${isOfTenant}
            AND NOT EXISTS (SELECT FROM verification_difference o WHERE o.run_id = $1 AND o.table_name = d.table_name AND o.row_id = d.row_id AND o.repaired_at IS NULL)))
     WHERE v.run_id = $1 AND v.differences > 0`,
    [run],
  );
}
