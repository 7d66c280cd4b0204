import { hash } from 'node:crypto';
import type pg from 'pg';
import type { Relation } from '../../changes/change.ts';
import { pause } from '../../runtime/retry.ts';
import type { LegacyRow, Tenants } from '../projection.ts';
import { compareKey, type RowResult, toDifferenceText } from './compare-key.ts';
import type { Fence } from './fence.ts';
import type { Findings, Unmappable } from './findings.ts';
import { isolating } from './isolating.ts';
import { readRows } from './legacy-rows.ts';
import { type Expected, type Plan, toExpected } from './plan.ts';
import { judge, type Look, MOST_LOOKS, pauseAfter } from './settle.ts';
import { readFound, withoutSpellings } from './target-rows.ts';

/** Keys in one check. */
const AT_ONCE = 200;
/** Keys that may wait for checks. Beyond that, producers wait. */
const MOST_WAITING = 5000;
const IDLE_MS = 5;

/** Limits for tests. `sessions`: number of parallel sessions. */
export interface LookLimits {
  readonly mostLooks?: number;
  readonly keysAtOnce?: number;
  readonly sessions?: number;
}

/** By table: ids of rows that name a legacy key but are outside its scope. */
export type Strays = ReadonlyMap<string, ReadonlySet<string>>;

/** A legacy key that needs a close check. */
export interface Suspect {
  readonly plan: Plan;
  readonly relation: Relation;
  readonly legacyKey: string;
  readonly keyTexts: readonly string[];
  readonly strays: Strays;
}

interface Waiting extends Suspect {
  strays: Strays;
  looks: number;
  alike: number;
  dueAtMs: number;
  before: Look | null;
}

/** Checks suspects repeatedly until each is settled or given up. */
export interface Looks {
  add(suspects: readonly Suspect[]): void;
  /** Resolves once there is room for more. */
  untilRoom(): Promise<void>;
  /** Resolves once no suspects are waiting. */
  drain(): Promise<void>;
  waiting(): readonly Suspect[];
  close(): Promise<void>;
}

/** `sessions`: each pair checks independently. */
export function createLooks(options: {
  sessions: readonly { readonly legacy: pg.ClientBase; readonly target: pg.ClientBase }[];
  fence: Fence;
  tenants: Tenants;
  findings: Findings;
  signal: AbortSignal;
  limits?: LookLimits;
  /** Called after each check. */
  onLook?: () => void;
}): Looks {
  const { sessions, fence, tenants, findings, signal, limits = {}, onLook } = options;
  const { mostLooks = MOST_LOOKS, keysAtOnce = AT_ONCE } = limits;
  const waiting = new Map<string, Waiting>();
  const busy = new Set<Waiting>();
  let failure: unknown;
  let isClosed = false;
  let workers: Promise<unknown> | null = null;

  function settle(of: Waiting, seen: Seen, isSettled: boolean): void {
    waiting.delete(nameOf(of));
    findings.addSettled({ ...of, row: seen.row, explained: seen.explained }, seen.results, isSettled);
  }

  function note(of: Waiting, seen: Seen): void {
    const { verdict, alike } = judge(of.before, seen.look, of.alike);
    of.looks += 1;
    const isLast = of.looks >= mostLooks;
    // A parked change is no difference until the last check.
    const isStuck =
      isLast &&
      seen.look.isParked &&
      judge(of.before, { ...seen.look, isParked: false }, of.alike).verdict === 'different';
    if (verdict !== 'again' || isStuck) settle(of, seen, true);
    else if (isLast) settle(of, seen, false);
    else {
      of.before = seen.look;
      of.alike = alike;
      of.dueAtMs = performance.now() + pauseAfter(of.looks);
    }
  }

  async function work({ legacy, target }: (typeof sessions)[number]): Promise<void> {
    while (!isClosed && waiting.size > 0) {
      signal.throwIfAborted();
      const some = takeDue();
      if (some.length === 0) {
        await pause(IDLE_MS, signal);
        continue;
      }
      try {
        await isolating(
          some,
          async (part) => {
            const seen = await look(part, { legacy, target, fence, tenants });
            onLook?.();
            for (const [at, of] of part.entries()) {
              const one = seen[at]!;
              if (one === null || one === 'too large') giveUp(of, one ?? undefined);
              else note(of, one);
            }
          },
          (of) => giveUp(of),
        );
      } finally {
        for (const of of some) busy.delete(of);
      }
    }
  }

  /** For a row that its projection cannot map, or maps to a value that the target's type refuses, or that is too large to read. */
  function giveUp(of: Waiting, reason?: Unmappable['reason']): void {
    waiting.delete(nameOf(of));
    findings.addUnmappable(of.plan, of.legacyKey, null, reason);
  }

  /** Due suspects of one projection. They are read in one statement. */
  function takeDue(): Waiting[] {
    const now = performance.now();
    const taken: Waiting[] = [];
    for (const of of waiting.values()) {
      if (of.dueAtMs > now || busy.has(of) || (taken[0] ?? of).plan !== of.plan) continue;
      taken.push(of);
      if (taken.length === keysAtOnce) break;
    }
    for (const of of taken) busy.add(of);
    return taken;
  }

  function wake(): void {
    if (workers !== null || isClosed || failure !== undefined) return;
    const started = Promise.allSettled(sessions.map(work));
    workers = started;
    void started.then((ended) => {
      for (const one of ended) if (one.status === 'rejected') failure ??= one.reason;
      workers = null;
      if (waiting.size > 0) wake();
    });
  }

  async function until(isReached: () => boolean): Promise<void> {
    while (!isReached()) {
      if (failure !== undefined) throw failure;
      signal.throwIfAborted();
      wake();
      await pause(IDLE_MS, signal);
    }
    if (failure !== undefined) throw failure;
  }

  return {
    add(suspects) {
      for (const suspect of suspects) {
        const known = waiting.get(nameOf(suspect));
        const begin = { looks: 0, alike: 0, dueAtMs: performance.now(), before: null };
        if (known === undefined) waiting.set(nameOf(suspect), { ...suspect, ...begin });
        else Object.assign(known, { strays: join(known.strays, suspect.strays), ...begin });
      }
      if (waiting.size > 0) wake();
    },
    untilRoom: () => until(() => waiting.size < MOST_WAITING),
    drain: () => until(() => waiting.size === 0),
    waiting: () => [...waiting.values()],
    async close() {
      isClosed = true;
      await workers;
    },
  };
}

function nameOf({ plan, legacyKey }: Suspect): string {
  return `${plan.projection.name} ${legacyKey}`;
}

function join(a: Strays, b: Strays): Strays {
  const tables = new Set([...a.keys(), ...b.keys()]);
  return new Map([...tables].map((table) => [table, new Set([...(a.get(table) ?? []), ...(b.get(table) ?? [])])]));
}

interface Seen {
  readonly look: Look;
  readonly row: LegacyRow | null;
  readonly results: readonly RowResult[];
  readonly explained: 'parked' | 'dead letter' | null;
}

/** One check of suspects of one projection. Null: the row cannot be mapped. `too large`: it cannot be read. */
async function look(
  suspects: readonly Waiting[],
  { legacy, target, fence, tenants }: { legacy: pg.ClientBase; target: pg.ClientBase; fence: Fence; tenants: Tenants },
): Promise<(Seen | null | 'too large')[]> {
  const { plan, relation } = suspects[0]!;
  const { rows, snapshotXmin } = await readRows(
    legacy,
    relation,
    suspects.map(({ keyTexts }) => keyTexts),
  );
  const expected = suspects.map(({ legacyKey }, at) =>
    rows[at]!.isTooLarge ? null : toExpected(plan, legacyKey, rows[at]!.row, tenants),
  );
  const toUnseen = (at: number) => (rows[at]!.isTooLarge ? 'too large' : null);
  const mapped = suspects.flatMap((suspect, at) =>
    expected[at] === null ? [] : [{ suspect, expected: expected[at] as Expected, legacy: rows[at]! }],
  );
  if (mapped.length === 0) return suspects.map((_, at) => toUnseen(at));
  await fence.pass(legacy, [plan.projection]);
  const found = await readFound(
    target,
    plan,
    mapped.map((of) => ({ expected: of.expected, strays: of.suspect.strays })),
  );
  const horizon = await readHorizon(legacy);
  const compared = mapped.map((of, at) => compareKey(plan, of.expected, found[at]!, of.suspect.strays));
  const settled = await withoutSpellings(target, compared.flat());
  let next = 0;
  const seen = new Map<Waiting, Seen>();
  for (const [at, of] of mapped.entries()) {
    const results = settled.slice(next, next + compared[at]!.length);
    next += compared[at]!.length;
    const { tuple, xmax, row } = of.legacy;
    const { isParked, isDead } = found[at]!;
    seen.set(of.suspect, {
      look: {
        ...{ tuple, xmax, snapshotXmin, horizon, isParked },
        difference: toDigest(toDifferenceText(results, tuple === null)),
        isTouchable: results.some(({ kind, merged }) => kind === 'extra' && merged === null),
      },
      row,
      results,
      explained: isParked ? 'parked' : isDead ? 'dead letter' : null,
    });
  }
  return suspects.map((suspect, at) => seen.get(suspect) ?? toUnseen(at));
}

/** Thousands of suspects may wait, with long values: only a digest is kept. An empty text stays empty. */
function toDigest(text: string): string {
  return text === '' ? '' : hash('sha256', text);
}

/** A transaction id above those of everything applied by now. */
async function readHorizon(legacy: pg.ClientBase): Promise<bigint> {
  const { rows } = await legacy.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  return BigInt(rows[0]!.xid);
}
