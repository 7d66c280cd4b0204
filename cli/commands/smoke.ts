import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Smoke } from '../../projectors/pipeline.ts';
import { statesOf } from '../../projectors/projection.ts';
import { liveNamespace, searchPathOption } from '../../projectors/session.ts';
import { targetTables } from '../../projectors/write/catalog.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { addressOf, connect, inTransaction } from '../../runtime/postgres.ts';
import { quoteIdent } from '../../schemas/quote.ts';
import { confirm } from '../confirm.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { toDurationText } from '../quantity-text.ts';

export interface SmokeOptions {
  readonly timeout: number;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly remove?: string;
  readonly json?: boolean;
}

/** Result of a step. `seconds`: from its commit in the legacy database until the new tables showed it; null: it did not show, or was not tried. */
export interface SmokeResult {
  readonly name: string;
  readonly state: 'arrived' | 'late' | 'not tried';
  readonly seconds: number | null;
}

const POLL_MS = 25;
/** Prefix of test ids: `--remove` only removes rows with this prefix. */
const MARK = '5e7e5e7e-';
const TENANT = new RegExp(`^${MARK}[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`);

/** Runs the pipeline's steps. Returns whether each of them arrived and the rows are removed again. */
export async function smoke(context: CommandContext, options: SmokeOptions): Promise<boolean> {
  const { pipeline, config } = context;
  const { steps, remove } = smokeOf(pipeline);
  if (options.dryRun) return printSteps({ steps, remove }, options);
  if (options.remove !== undefined && !TENANT.test(options.remove))
    throw new CrosswalkError('config_invalid.smoke_tenant', '--remove names no tenant of a smoke test', { mark: MARK });
  const where = addressOf(config.legacyOwnerUrl());
  const question = `Write rows of a test tenant into the legacy tables of ${where}, and take them away again?`;
  if (!options.yes && !(await confirm(context, question))) return false;
  const tenant = options.remove ?? `${MARK}${randomUUID().slice(MARK.length)}`;
  const say = (line: string) => (options.json ? undefined : print(line));
  const legacy = await connect(config.legacyOwnerUrl(), 'smoke', searchPathOption([config.legacySchema]));
  try {
    const target = await connect(config.targetUrl(), 'smoke', searchPathOption(liveNamespace(config.targetSchema)));
    try {
      say(`tenant ${tenant}, in the legacy tables of ${where}`);
      const walk = { context, legacy, target, tenant, timeoutMs: options.timeout * 1000, say };
      const results = options.remove === undefined ? await walkThrough(walk, { steps, remove }) : [];
      const removal = await untilGone(walk, remove);
      const ok = [...results, removal].every(({ state }) => state === 'arrived');
      if (options.json) printJson({ ok, tenant, steps: results, removal });
      else print(toVerdict(ok, results));
      return ok;
    } finally {
      await target.end().catch(() => undefined);
    }
  } finally {
    await legacy.end().catch(() => undefined);
  }
}

function smokeOf({ name, smoke: defined }: CommandContext['pipeline']): Smoke {
  if (defined !== undefined) return defined;
  throw new CrosswalkError('config_invalid.no_smoke_test', `Pipeline ${name} has no smoke test`);
}

function printSteps({ steps, remove }: Smoke, { json }: SmokeOptions): boolean {
  if (json) printJson({ steps, remove });
  else {
    const show = (name: string, statements: readonly string[]) => {
      print(`-- ${name}`);
      for (const sql of statements) print(`${sql.replaceAll(/\s*\n\s*/g, '\n  ')};`);
    };
    for (const { name, write } of steps) show(name, write);
    show('taken away', remove);
    print('-- $1 is the id of the tenant. Nothing is written: this was a dry run.');
  }
  return true;
}

interface Walk {
  readonly context: Pick<CommandContext, 'config' | 'pipeline' | 'signal'>;
  readonly legacy: pg.Client;
  readonly target: pg.Client;
  readonly tenant: string;
  readonly timeoutMs: number;
  readonly say: (line: string) => void;
}

/** Runs the steps in order; those after a late one are not tried. Removes what was written if one throws. */
async function walkThrough(walk: Walk, { steps, remove }: Smoke): Promise<SmokeResult[]> {
  const { target, tenant, timeoutMs, say } = walk;
  const results: SmokeResult[] = [];
  const isShown = async (sql: string) => ((await target.query(sql, [tenant])).rowCount ?? 0) > 0;
  try {
    for (const { name, write, shows } of steps) {
      if (results.some(({ state }) => state !== 'arrived')) {
        results.push({ name, state: 'not tried', seconds: null });
        continue;
      }
      await writeAll(walk, write);
      const seconds = await poll(walk.context.signal, timeoutMs, POLL_MS, () => isShown(shows));
      results.push({ name, state: seconds === null ? 'late' : 'arrived', seconds });
      say(toLine(results.at(-1)!, timeoutMs));
    }
    return results;
  } catch (error) {
    await writeAll(walk, remove).catch(() =>
      say(`its rows may be left: \`crosswalk smoke --remove ${tenant}\` takes them away`),
    );
    throw error;
  }
}

/** Removes the rows and waits until no live row of the tenant is left in a projected table. */
async function untilGone(walk: Walk, remove: Smoke['remove']): Promise<SmokeResult> {
  const { context, target, tenant, timeoutMs, say } = walk;
  await writeAll(walk, remove);
  const sql = await toLeftSql(target, context);
  let left: string[] = [];
  const isGone = async () => {
    left = (await target.query<{ name: string }>(sql, [tenant])).rows.map(({ name }) => name);
    return left.length === 0;
  };
  // It reads whole tables if they have no index on the tenant, so it polls less often than for a step.
  const seconds = await poll(context.signal, timeoutMs, 10 * POLL_MS, isGone);
  const removal: SmokeResult = { name: 'rows are gone', state: seconds === null ? 'late' : 'arrived', seconds };
  say(`${toLine(removal, timeoutMs)}${seconds === null ? `: ${left.join(', ')}` : ''}`);
  return removal;
}

/** Returns a query for the names of projected tables that still show a row of tenant $1. */
async function toLeftSql(target: pg.Client, { config, pipeline }: Walk['context']): Promise<string> {
  const tables = [...new Set(statesOf(pipeline.projections).flatMap(targetTables))];
  const { rows } = await target.query<{ name: string; dies: string }>(
    `SELECT c.relname AS name, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'deleted_at' AND NOT a.attisdropped)::text AS dies
     FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relname = ANY ($2) ORDER BY 1`,
    [config.targetSchema, tables],
  );
  return rows
    .map(
      ({ name, dies }) =>
        `SELECT '${name.replaceAll("'", "''")}' AS name WHERE EXISTS (SELECT FROM ${quoteIdent(name)} WHERE tenant_id = $1::text AND origin = 'cdc'${dies === 'true' ? ' AND deleted_at IS NULL' : ''})`,
    )
    .join(' UNION ALL ');
}

/** Runs statements on the legacy tables, all or none. Throws `permission_denied` if the login may not write them. */
async function writeAll({ legacy, tenant, context }: Walk, statements: readonly string[]): Promise<void> {
  try {
    await inTransaction(legacy, async () => {
      for (const sql of statements) await legacy.query(sql, sql.includes('$1') ? [tenant] : []);
    });
  } catch (error) {
    if ((error as { code?: unknown }).code !== '42501') throw error;
    throw new CrosswalkError(
      'permission_denied.smoke',
      `The login of ${addressOf(context.config.legacyOwnerUrl())} may not write the legacy tables: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** Seconds until `isDone`, or null on timeout. */
async function poll(
  signal: AbortSignal,
  timeoutMs: number,
  everyMs: number,
  isDone: () => Promise<boolean>,
): Promise<number | null> {
  const startedAtMs = performance.now();
  for (;;) {
    signal.throwIfAborted();
    if (await isDone()) return (performance.now() - startedAtMs) / 1000;
    if (performance.now() - startedAtMs > timeoutMs) return null;
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}

function toLine({ name, state, seconds }: SmokeResult, timeoutMs: number): string {
  return state === 'arrived'
    ? `ok      ${name.padEnd(18)} ${seconds!.toFixed(2)} s`
    : `FAILED  ${name.padEnd(18)} not within ${timeoutMs / 1000} s`;
}

function toVerdict(ok: boolean, results: readonly SmokeResult[]): string {
  if (!ok) return 'NOT every step arrived: `crosswalk status` and `crosswalk lag` say where it stands';
  const seconds = results.reduce((sum, result) => sum + (result.seconds ?? 0), 0);
  return results.length === 0
    ? 'nothing of it is left'
    : `every step arrived, ${toDurationText(seconds)} in all, and nothing is left but what is kept of every row that goes: soft-deleted rows and histories`;
}
