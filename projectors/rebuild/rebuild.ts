import type pg from 'pg';
import type { Config } from '../../runtime/config.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { createKafka } from '../../runtime/kafka.ts';
import type { Log } from '../../runtime/log.ts';
import { pause } from '../../runtime/retry.ts';
import { createRegistry } from '../../schemas/avro/registry.ts';
import { createChangeDecoder } from '../decode.ts';
import type { Projection, Tenants } from '../projection.ts';
import { toldColumnsOf } from '../read-position.ts';
import { tryToKeepUp } from '../upkeep.ts';
import { readTargetShapes } from '../write/catalog.ts';
import { isDataError, isLockError, isLockTimeout } from '../write/data-error.ts';
import { compareAgain, compareAll, countChangedKeys, markHeldKeys } from './compare.ts';
import type { Side } from './compare-sql.ts';
import { atFence, connectBoth } from './fence.ts';
import { follow, untilNear } from './follow.ts';
import { type Merged, merge } from './merge.ts';
import { assertSeparable, beginShadow, reopenShadow } from './prepare.ts';
import { type Replay, startReplay } from './replay.ts';
import { countDifferences, type Failure, type Report } from './report.ts';
import { dropShadow, type Shadow } from './shadow.ts';
import type { Start } from './start.ts';
import { toUnits, type Unit } from './units.ts';

/** Request for a rebuild. */
export interface RebuildRequest {
  readonly name: string;
  readonly projections: readonly Projection[];
  /** All existing projections. The rebuild leaves the rows of the others alone. */
  readonly all: readonly Projection[];
  readonly tenants: Tenants;
  /** Names and versions of projections, and everything else that decides their rows. A rebuild cannot be resumed with another mapping. */
  readonly mapping: string;
  readonly start: Start;
  readonly resume: boolean;
  /** Compare and report only; change nothing. */
  readonly dryRun: boolean;
  /** Records per second; null: no limit. */
  readonly maxRate: number | null;
  /** Maximum number of differing rows listed per table. */
  readonly limit: number;
  /** Time limit for attempts to pause the live projectors. */
  readonly lockTimeoutMs: number;
}

/** Callbacks and signal of the caller. */
export interface RebuildOptions {
  readonly log: Log;
  /** When raised, the rebuild stops at a point from which it can resume. */
  readonly signal: AbortSignal;
  readonly onProgress: (phase: 'replay' | 'compare', done: number, total: number) => void;
  /** Whether to merge the reported differences. Not called if there is nothing to merge, or if the merge is refused. */
  readonly confirm: (result: RebuildResult) => Promise<boolean>;
}

/**
 * Result of a rebuild. paused: stopped, can be resumed. equal: no differences. previewed: not merged, as requested. refused: not merged, for the reasons
 * in `report.failures`. kept: not confirmed. The shadow is dropped after equal, previewed and merged.
 */
export interface RebuildResult {
  readonly state: 'paused' | 'equal' | 'previewed' | 'refused' | 'kept' | 'merged';
  readonly name: string;
  readonly report: Report | null;
  /** Rows written. Also null if unknown because another process merged, or the connection was lost. */
  readonly merged: Merged | null;
  readonly replay: { readonly records: number; readonly seconds: number };
  readonly compareSeconds: number;
  /** Time for which the live projectors were paused, for comparisons and for the merge, and the number of pauses. */
  readonly paused: { readonly compareMs: number; readonly mergeMs: number; readonly times: number };
}

/** Legacy rows that may be compared while the live projectors wait for a merge. */
const FEW_KEYS = 1000;
/** Attempts of a merge that runs into locks of the application, and the time that the projectors get in between. */
const ATTEMPTS = 3;
const BETWEEN_MS = 2000;

/**
 * Replays the log into a shadow with the projectors' code, compares it with the live tables at one consistent point, and merges the differences. Throws
 * a CrosswalkError that a person must act on; the shadow is then kept and the rebuild can be resumed.
 */
export async function rebuild(
  config: Config,
  request: RebuildRequest,
  options: RebuildOptions,
): Promise<RebuildResult> {
  const { signal, log } = options;
  assertSeparable(request.projections, request.all);
  const url = config.targetUrl();
  const kafka = createKafka(config.kafka(), log);
  const { url: baseUrl, ...credentials } = config.registry();
  const registry = createRegistry({ baseUrl, ...credentials });
  const open: { close(): Promise<unknown> }[] = [];
  const result = { name: request.name, report: null as Report | null, merged: null as Merged | null, ...nothingYet() };
  const startedAtMs = performance.now();
  try {
    const shadow = request.resume ? await reopenShadow(config, request) : await beginShadow(config, kafka, request);
    open.unshift(shadow);
    const end = async (state: RebuildResult['state']): Promise<RebuildResult> => {
      if (state === 'equal' || state === 'previewed' || state === 'merged') {
        // Another session that still writes into the shadow would keep it from being dropped.
        for (const each of open.splice(0, open.length - 1)) await each.close();
        await dropShadow(shadow.control, shadow.name, log);
      }
      return { state, ...result };
    };
    if (shadow.isMerged) return await end('merged');
    const shapes = await readTargetShapes(shadow.control, request.projections);
    const at = {
      shadow,
      side: {
        shadow: shadow.schema,
        partial: shadow.settings.from !== 'beginning',
        starts: shadow.settings.starts,
        histories: request.projections.filter(({ history }) => history !== undefined).map(({ name }) => name),
      },
      units: toUnits(request.projections, request.all, shapes, config.targetSchema),
      lockTimeoutMs: request.lockTimeoutMs,
      both: await connectBoth(url, config.targetSchema, ''),
      snapshot: await connectBoth(url, config.targetSchema, '-c work_mem=64MB -c enable_nestloop=off'),
    };
    open.unshift({ close: () => at.both.end() }, { close: () => at.snapshot.end() });
    const replay = await startReplay(config, kafka, shadow, {
      ...{ projections: request.projections, tenants: request.tenants, maxRate: request.maxRate },
      ...{ partial: at.side.partial, log },
      decoderOf: (projection) =>
        createChangeDecoder(projection, registry, {
          isReplay: true,
          readToldColumns: toldColumnsOf(kafka, config, projection.source),
        }),
    });
    open.unshift(replay);
    const following = follow(shadow, replay);
    open.unshift(following);

    await untilNear(shadow, following, {
      signal,
      onProgress: (done, total) => options.onProgress('replay', done, total),
    });
    result.replay = { records: replay.records(), seconds: (performance.now() - startedAtMs) / 1000 };
    const onPause = (of: 'compareMs' | 'mergeMs') => (ms: number) => {
      result.paused[of] += ms;
      result.paused.times += 1;
    };
    const comparing = { ...at, replay, onPause: onPause('compareMs') };
    const compared = await compareAtFence(comparing, request.limit, options);
    result.report = compared.report;
    result.compareSeconds = compared.seconds;
    if (request.dryRun) return await end('previewed');
    if (compared.report.failures.length > 0) return await end('refused');
    if (isNothing(compared.report)) return await end('equal');
    if (!(await options.confirm({ state: 'kept', ...result }))) return await end('kept');
    const round = await catchUp(comparing, compared.round, signal);
    const outcome = await mergeAtFence({ ...at, replay, onPause: onPause('mergeMs') }, round, config, signal);
    if ('failures' in outcome) {
      result.report = { ...result.report, failures: outcome.failures };
      return await end('refused');
    }
    result.merged = outcome.merged;
    const ended = await end('merged');
    await tryToKeepUp(url, { log });
    return ended;
  } catch (error) {
    if (!signal.aborted) throw error;
    return { state: 'paused', ...result };
  } finally {
    for (const each of open) await each.close().catch(() => undefined);
    registry.close();
  }
}

const nothingYet = () => ({
  replay: { records: 0, seconds: 0 },
  compareSeconds: 0,
  paused: { compareMs: 0, mergeMs: 0, times: 0 },
});

function isNothing(report: Report): boolean {
  const { deadLetters, waiting } = report;
  return countDifferences(report) === 0 && deadLetters.before === deadLetters.after && waiting.before === waiting.after;
}

/** Both sides of a rebuild, with their connections and replay. */
interface Sides {
  readonly shadow: Shadow;
  readonly side: Side;
  readonly units: readonly Unit[];
  readonly replay: Replay;
  readonly both: pg.Client;
  readonly snapshot: pg.Client;
  readonly lockTimeoutMs: number;
  readonly onPause: (ms: number) => void;
}

interface Comparison {
  readonly report: Report;
  readonly round: number;
  readonly seconds: number;
}

/** Compares both sides in full. */
async function compareAtFence(
  sides: Sides,
  limit: number,
  { signal, onProgress }: Pick<RebuildOptions, 'signal' | 'onProgress'>,
): Promise<Comparison> {
  const { result, round, seconds } = await inSnapshot(sides, signal, (client, of) =>
    compareAll(client, sides.side, sides.units, {
      ...{ round: of, limit, signal },
      onProgress: (done, total) => onProgress('compare', done, total),
    }),
  );
  return { report: result, round, seconds };
}

/**
 * Repeatedly compares what has changed since a round began, until little is left: that is compared once more while the live projectors wait for the
 * merge. Returns the last round.
 */
async function catchUp(sides: Sides, round: number, signal: AbortSignal): Promise<number> {
  const { shadow, side, units } = sides;
  let last = round;
  for (let before = Number.POSITIVE_INFINITY; ; ) {
    const changed = await countChangedKeys(shadow.control, side, shadow.settings.projections, last);
    // If changes arrive as fast as they are compared, another round gains nothing.
    if (changed <= FEW_KEYS || changed > before / 2) return last;
    before = changed;
    last = (await inSnapshot(sides, signal, (client, of) => compareAgain(client, side, units, of - 1))).round;
  }
}

/** Runs a new comparison round on one consistent point of both sides. The live projectors are paused only until a snapshot is taken. */
async function inSnapshot<T>(
  { shadow, side, replay, both, snapshot, lockTimeoutMs, onPause }: Sides,
  signal: AbortSignal,
  compare: (client: pg.Client, round: number) => Promise<T>,
): Promise<{ result: T; round: number; seconds: number }> {
  const { rows } = await shadow.control.query<{ round: string }>(
    `UPDATE ${shadow.schema}.rebuild SET round = round + 1 RETURNING round`,
  );
  const round = Number(rows[0]!.round);
  replay.record(round);
  await atFence(both, shadow, replay, { signal, lockTimeoutMs, onPause }, async () => {
    await markHeldKeys(shadow.control, side, shadow.settings.projections, round);
    await snapshot.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await snapshot.query('SELECT 1');
    // Fails unless the live offsets were locked until here.
    await both.query('SELECT 1');
  });
  const startedAtMs = performance.now();
  try {
    const result = await compare(snapshot, round);
    await snapshot.query('COMMIT');
    return { result, round, seconds: (performance.now() - startedAtMs) / 1000 };
  } catch (error) {
    await snapshot.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

type Outcome = { readonly merged: Merged | null } | { readonly failures: readonly Failure[] };

/** Merges the differences while the live projectors are paused. Returns failures if the merge was refused; then nothing was changed. */
async function mergeAtFence(
  { shadow, side, units, replay, both, lockTimeoutMs, onPause }: Sides,
  round: number,
  config: Config,
  signal: AbortSignal,
): Promise<Outcome> {
  const { name, settings } = shadow;
  for (let attempt = 1; ; attempt++) {
    try {
      return await atFence(both, shadow, replay, { signal, lockTimeoutMs, onPause }, () =>
        merge(both, side, units, { name, projections: settings.projections, round }),
      );
    } catch (error) {
      if ((isLockError(error) || isLockTimeout(error)) && attempt < ATTEMPTS) {
        await pause(BETWEEN_MS, signal);
        continue;
      }
      // After a lost connection the outcome of the commit is unknown.
      if (await wasMerged(config, shadow).catch(() => false)) return { merged: null };
      if (isLockTimeout(error)) {
        throw new CrosswalkError(
          'locked.merge',
          'A row that is to be merged was held by another session for too long',
          { cause: error },
        );
      }
      if (!isDataError(error)) throw error;
      return { failures: [toFailure(error)] };
    }
  }
}

async function wasMerged(config: Config, shadow: Shadow): Promise<boolean> {
  const client = await connectBoth(config.targetUrl(), config.targetSchema, '');
  try {
    const { rows } = await client.query<{ merged: string }>(
      `SELECT (merged_at IS NOT NULL)::text AS merged FROM ${shadow.schema}.rebuild`,
    );
    return rows[0]?.merged === 'true';
  } finally {
    await client.end();
  }
}

function toFailure(error: unknown): Failure {
  const { code, table, constraint } = error as { code?: string; table?: string; constraint?: string };
  const reason = [code, table, constraint].filter(Boolean).join(' ');
  return { projection: '', kind: 'refused', reason, count: 1, legacyKeys: [] };
}
