import type pg from 'pg';
import type { Relation } from '../../changes/change.ts';
import { readCatalog } from '../../connectors/catalog.ts';
import {
  assertCaptured,
  controlLoad,
  controlSnapshot,
  listSnapshots,
  requestSnapshot,
  type SnapshotResult,
  type SnapshotState,
  waitForSnapshot,
} from '../../connectors/snapshot/request.ts';
import { countRows, inspectSelection, toRefusal } from '../../connectors/snapshot/selection.ts';
import type { Selection } from '../../connectors/snapshot/work.ts';
import { captureOf } from '../../connectors/source-state.ts';
import type { Pipeline } from '../../projectors/pipeline.ts';
import { toTenantCondition } from '../../projectors/verify/tenant-condition.ts';
import { CrosswalkError, RIGHT_MISSING, toCrosswalkError } from '../../runtime/errors.ts';
import { createKafka, type Kafka } from '../../runtime/kafka.ts';
import { addressOf, connect, sourceOptions } from '../../runtime/postgres.ts';
import { confirm } from '../confirm.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { createProgress } from '../progress.ts';
import { toCountText, toDurationText, toTableLines } from '../quantity-text.ts';

export interface SnapshotOptions {
  readonly where?: string;
  readonly key?: readonly string[];
  readonly tenant?: string;
  readonly repair?: boolean;
  readonly maxRate?: number;
  readonly dryRun?: boolean;
  readonly detach?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** Requests that rows of a table be read again, and waits until they are in the log. Returns whether they are. */
export async function snapshot(context: CommandContext, table: string, options: SnapshotOptions): Promise<boolean> {
  const { config, log } = context;
  assertCaptured(config, table);
  const { selection, rows } = await inspect(context, table, options);
  if (options.dryRun) {
    if (options.json) printJson({ dryRun: true, table, rows });
    else print(`Nothing is changed: ${toAmount(rows, 'row')} of ${table} would be reread`);
    return true;
  }
  const about = selection.keys === null ? `about ${toAmount(rows, 'row')}` : toAmount(rows, 'key');
  const question = `Reread ${about} of ${table} and project them${options.repair ? ', even if nothing seems to have changed' : ''}?`;
  if (!options.yes && !(await confirm(context, question))) return false;
  const kafka = createKafka(config.kafka(), log);
  const { repair = false, maxRate } = options;
  const id = await requestSnapshot(config, kafka, { table, ...selection, repair, maxRate });
  if (!options.detach) {
    if (!options.json) print(`${id}: requested`);
    return follow(context, kafka, id, options);
  }
  if (options.json) printJson({ id, table, state: 'sent', rows: 0 });
  else print(`${id}: requested. Progress: crosswalk snapshot watch ${id}`);
  return true;
}

/** Waits for the end of a snapshot. Returns whether it completed. */
export async function watch(context: CommandContext, id: string, options: { json?: boolean }): Promise<boolean> {
  return follow(context, createKafka(context.config.kafka(), context.log), id, options);
}

/** Lists the known snapshots. */
export async function list({ config, log }: CommandContext, options: { json?: boolean }): Promise<boolean> {
  const found = await listSnapshots(config, createKafka(config.kafka(), log));
  if (options.json) printJson(found);
  else if (found.length === 0) print('no snapshots; `crosswalk snapshot <table>` requests one');
  else for (const line of toListLines(found)) print(line);
  return true;
}

/** Accepted by `pause` and `resume` in place of an id. */
const INITIAL = 'initial';

/** Pauses, resumes or cancels a snapshot; `initial`: pauses or resumes the initial load. */
export async function control(
  { config, log }: CommandContext,
  kind: 'pause' | 'resume' | 'cancel',
  id: string,
  options: { json?: boolean },
): Promise<boolean> {
  const kafka = createKafka(config.kafka(), log);
  if (id !== INITIAL) await controlSnapshot(config, kafka, id, kind);
  else if (kind !== 'cancel') await controlLoad(config, kafka, kind);
  else throw new CrosswalkError('config_invalid.initial_load', 'The initial load cannot be cancelled');
  const where = id === INITIAL ? 'crosswalk status' : 'crosswalk snapshot list';
  if (options.json) printJson({ id, asked: kind });
  else print(`${id}: ${kind} requested. \`${where}\` shows when the connector has received it`);
  return true;
}

/** The list of snapshots, one line each. */
export function toListLines(snapshots: readonly SnapshotState[]): string[] {
  return toTableLines(
    [
      ['id', 'table', 'state', 'rows', 'of about', 'rows/s', 'left', ''],
      ...snapshots.map((one) => [
        one.id,
        one.table,
        one.state,
        toCountText(one.rows),
        'total' in one && one.total !== null ? toCountText(Math.max(one.total, one.rows)) : '',
        one.state === 'running' && one.rowsPerSecond !== undefined ? toCountText(one.rowsPerSecond) : '',
        one.state === 'running' && one.secondsLeft != null ? toDurationText(one.secondsLeft) : '',
        'reason' in one ? (one.reason ?? '') : '',
      ]),
    ],
    [3, 4, 5, 6],
  );
}

/** Validates the request against the legacy database, as the connector will. Returns the number of rows too, counted for a dry run, otherwise estimated. */
async function inspect(
  { pipeline, config }: CommandContext,
  table: string,
  options: SnapshotOptions,
): Promise<{ selection: Selection; rows: number }> {
  const url = config.legacyUrl();
  const timeoutMs = config.snapshotTimeoutSeconds * 1000;
  const refuse = (error: unknown): never => {
    const reason = toRefusal(error, timeoutMs);
    // A missing right is not an error in the request.
    if (reason === null || (error as { code?: unknown }).code === RIGHT_MISSING) throw error;
    throw new CrosswalkError('config_invalid.snapshot_unread', `The rows cannot be read: ${reason}`);
  };
  let legacy: pg.Client | null = null;
  try {
    legacy = await connect(url, 'snapshot-request', `${sourceOptions} -c row_security=off`);
    const [relation] = await readCatalog(legacy, { ...captureOf(config), tables: [table] });
    const selection = toSelection(relation!, options, tenantColumnOf(pipeline, table));
    const estimate = await inspectSelection(legacy, relation!, selection, timeoutMs).catch(refuse);
    if (!options.dryRun) return { selection, rows: estimate };
    return { selection, rows: await countRows(legacy, relation!, selection, timeoutMs).catch(refuse) };
  } catch (error) {
    throw toCrosswalkError(error, `legacy database ${addressOf(url)}`);
  } finally {
    await legacy?.end().catch(() => undefined);
  }
}

/** The column with the tenant of a legacy table's rows. */
function tenantColumnOf({ projections, tenants }: Pipeline, table: string): string | undefined {
  return (
    projections.find(({ source, tenant }) => source === table && tenant !== undefined)?.tenant?.column ?? tenants.column
  );
}

/** The selection of the options. Throws `config_invalid` if they are invalid. */
export function toSelection(
  relation: Relation,
  { where, key, tenant }: SnapshotOptions,
  tenantColumn: string | undefined,
): Selection {
  if ([where, key, tenant].filter((given) => given !== undefined).length > 1)
    throw new CrosswalkError(
      'config_invalid.several_selections',
      'A snapshot has --where, --key or --tenant, not several',
    );
  if (key !== undefined) {
    const keys = new Map(key.map((text) => toKey(relation, text)).map((one) => [JSON.stringify(one), one]));
    return { where: null, keys: [...keys.values()] };
  }
  if (tenant === undefined) return { where: where ?? null, keys: null };
  if (tenantColumn === undefined || !relation.columns.some(({ name }) => name === tenantColumn))
    throw new CrosswalkError('config_invalid.argument_missing', `${relation.table} names no tenant`, {
      argument: '--where',
    });
  return { where: toTenantCondition(tenantColumn, tenant), keys: null };
}

function toKey(relation: Relation, text: string): readonly string[] {
  if (relation.key.length === 1) return [text];
  try {
    const key = JSON.parse(text) as unknown;
    if (Array.isArray(key) && key.every((part) => typeof part === 'string')) return key as string[];
  } catch {
    // Reported below.
  }
  throw new CrosswalkError(
    'config_invalid.snapshot_key',
    `--key: a key of ${relation.table} has ${relation.key.length} columns`,
    { columns: relation.key.join(', ') },
  );
}

async function follow(
  context: CommandContext,
  kafka: Kafka,
  id: string,
  options: { json?: boolean },
): Promise<boolean> {
  const startedAtMs = performance.now();
  const show = options.json ? null : createShow(context.isTerminal, id);
  const unheard = setTimeout(() => show?.sayUnheard(), UNHEARD_MS);
  let result: SnapshotResult;
  try {
    const { signal } = context;
    result = await waitForSnapshot(context.config, kafka, id, {
      signal,
      timeoutMs: 0,
      onProgress: (state) => show?.update(state),
    });
  } catch (error) {
    show?.close();
    if (!context.signal.aborted) throw error;
    if (!options.json) print(`${id} continues without this command: crosswalk snapshot watch ${id}`);
    return true;
  } finally {
    clearTimeout(unheard);
  }
  show?.close();
  const seconds = (performance.now() - startedAtMs) / 1000;
  if (options.json) printJson({ ...result, seconds });
  else for (const line of toResultLines(result, seconds)) print(line);
  return result.state === 'done';
}

/** Final output for a snapshot. */
export function toResultLines({ id, table, state, rows, reason }: SnapshotResult, seconds: number): string[] {
  const read = `${toAmount(rows, 'row')} of ${table}`;
  if (state === 'done')
    return [`${id}: done. ${read} in the log (${toDurationText(seconds)}); the projectors apply them: crosswalk lag`];
  if (state === 'cancelled') return [`${id}: cancelled, after ${read}`];
  return [`${id}: failed, after ${read}: ${reason ?? 'no reason is known'}`];
}

/** How long a running connector may take to pick up a request. */
const UNHEARD_MS = 5000;

/** Shows progress while rows are read, and a line for other states. */
function createShow(isTerminal: boolean, id: string) {
  let progress: ReturnType<typeof createProgress> | null = null;
  let said = '';
  const close = () => {
    progress?.close();
    progress = null;
  };
  return {
    close,
    /** No connector has reported on the request so far. */
    sayUnheard(): void {
      if (said === '') print(`${id}: no connector has picked it up yet: crosswalk status`);
    },
    update(snapshot: SnapshotState): void {
      const { table, state, rows } = snapshot;
      if (state === 'running') {
        // The estimate may be too low.
        const total = Math.max(snapshot.total ?? 0, rows);
        progress ??= createProgress({ label: table, total, isTerminal, write: (text) => process.stdout.write(text) });
        progress.update(rows, total);
        said = state;
      } else if (state !== said && (state === 'waiting' || state === 'paused')) {
        close();
        print(`${id}: ${state === 'waiting' ? 'waits for its turn, and for older transactions' : 'paused'}`);
        said = state;
      }
    },
  };
}

function toAmount(count: number, what: string): string {
  return `${toCountText(count)} ${what}${count === 1 ? '' : 's'}`;
}
