import type pg from 'pg';
import { readSourceDeadLetters, type SourceDeadLetter } from '../../connectors/dead-letters.ts';
import { parseLetterIds, toLetterId } from '../../projectors/dead-letters/letter-id.ts';
import {
  countLetters,
  discardLetters,
  type Letter,
  readLetters,
  readRecord,
  readSiblings,
  type Selection,
} from '../../projectors/dead-letters/letters.ts';
import { redrive as redriveLetters } from '../../projectors/dead-letters/redrive.ts';
import { createChangeDecoder } from '../../projectors/decode.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { connectProjector, createProjectorPool, liveNamespace } from '../../projectors/session.ts';
import type { SourceChange } from '../../projectors/source-change.ts';
import type { Applier } from '../../projectors/write/apply-changes.ts';
import { readTargetShapes } from '../../projectors/write/catalog.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { addressOf } from '../../runtime/postgres.ts';
import { createRegistry } from '../../schemas/avro/registry.ts';
import { confirm } from '../confirm.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { createProgress } from '../progress.ts';
import { toBytesText, toCountText, toTableLines } from '../quantity-text.ts';
import { chooseProjections } from './project.ts';

/** Options that select dead letters. `all`: every open one; with `list`, the resolved ones too. */
export interface LetterOptions {
  readonly projection?: string;
  readonly reason?: string;
  readonly all?: boolean;
}

const PAGE = 1000;

/** Runs `work` with one connection to the target database. Throws a CrosswalkError that names the database. */
async function withTarget<T>({ config }: CommandContext, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const url = config.targetUrl();
  try {
    const client = await connectProjector(url, 'dlq', liveNamespace(config.targetSchema));
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  } catch (error) {
    throw toCrosswalkError(error, `target database ${addressOf(url)}`);
  }
}

/** The selection of the arguments. Throws `config_invalid` if they select nothing, so that an omission never selects all. */
function toSelection(
  { pipeline }: CommandContext,
  ids: readonly string[],
  { projection, reason, all }: LetterOptions,
): Selection {
  if (projection !== undefined) chooseProjections(pipeline.projections, [projection]);
  const named = parseLetterIds(ids);
  const isNarrow = named.length > 0 || projection !== undefined || reason !== undefined;
  if (isNarrow === (all === true)) {
    throw new CrosswalkError(
      'config_invalid.letters_unnamed',
      isNarrow ? '--all stands for itself' : 'No dead letter is named',
    );
  }
  return {
    ...(named.length > 0 ? { ids: named } : {}),
    ...(projection === undefined ? {} : { projection }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** Lists dead letters: counts by projection and reason, then individually; also rows that are missing in the log because they are too large for it. */
export async function list(
  context: CommandContext,
  options: LetterOptions & { limit: number; json?: boolean },
): Promise<boolean> {
  const { projection, reason, all } = options;
  if (projection !== undefined) chooseProjections(context.pipeline.projections, [projection]);
  const selection: Selection = {
    ...(projection === undefined ? {} : { projection }),
    ...(reason === undefined ? {} : { reason }),
    resolvedToo: all === true,
  };
  const { counts, letters } = await withTarget(context, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return {
      counts: await countLetters(client, selection),
      letters: await readLetters(client, selection, options.limit),
    };
  });
  const source = await readSource(context, projection);
  if (options.json) {
    const withIds = letters.map((letter) => ({ id: toLetterId(letter), ...letter }));
    printJson({ open: counts.reduce((sum, { open }) => sum + open, 0), counts, letters: withIds, source });
  } else for (const line of toListLines(counts, letters, source, all === true)) print(line);
  return true;
}

type SourceReading = { readonly letters: readonly SourceDeadLetter[] } | { readonly problem: string };

/** Reads the rows that are too large for the log, of one projection's table or of all. */
async function readSource({ pipeline, config, log }: CommandContext, projection?: string): Promise<SourceReading> {
  const tables = new Set(
    chooseProjections(pipeline.projections, projection === undefined ? [] : [projection]).map(
      ({ source }) => `${config.legacySchema}.${source}`,
    ),
  );
  try {
    const letters = await readSourceDeadLetters(createKafka(config.kafka(), log), config);
    return { letters: letters.filter(({ table }) => projection === undefined || tables.has(table)) };
  } catch (error) {
    return { problem: toCrosswalkError(error, 'Kafka').message };
  }
}

/** Output of `dlq list`. */
export function toListLines(
  counts: readonly { projection: string; reason: string; open: number; resolved: number }[],
  letters: readonly Letter[],
  source: SourceReading,
  resolvedToo: boolean,
): string[] {
  const open = counts.reduce((sum, row) => sum + row.open, 0);
  const resolved = counts.reduce((sum, row) => sum + row.resolved, 0);
  const total = resolvedToo ? open + resolved : open;
  const state = ({ resolution }: Letter) => (resolvedToo ? [resolution ?? 'open'] : []);
  return [
    `Open dead letters: ${toCountText(open)}${resolvedToo ? `, resolved: ${toCountText(resolved)}` : ''}`,
    ...(counts.length === 0 ? [] : ['']),
    ...toTableLines(
      counts.map((row) => [toCountText(resolvedToo ? row.open + row.resolved : row.open), row.projection, row.reason]),
      [0],
    ),
    ...(letters.length === 0 ? [] : ['']),
    ...toTableLines(
      letters.map((letter) => [
        toLetterId(letter),
        `key ${letter.legacyKey}`,
        letter.failedAt.slice(0, 19),
        letter.reason,
        ...state(letter),
      ]),
    ),
    ...(letters.length < total ? [`… and ${toCountText(total - letters.length)} more: --limit ${total}`] : []),
    ...toSourceLines(source),
  ];
}

function toSourceLines(source: SourceReading): string[] {
  if ('problem' in source) return ['', `Rows too large for the log: unknown (${source.problem})`];
  if (source.letters.length === 0) return [];
  return [
    '',
    `Rows too large for the log: ${toCountText(source.letters.length)}. They cannot be redriven: make the row smaller in the legacy table, and its next change settles it.`,
    ...toTableLines(
      source.letters.map(({ table, key, bytes, limit, commitLsn }) => [
        table,
        `key ${key}`,
        `${toBytesText(BigInt(bytes))} of at most ${toBytesText(BigInt(limit))}`,
        `at ${commitLsn}`,
      ]),
    ),
  ];
}

/** Shows one dead letter. Cell values are printed only with `values`. */
export async function show(
  context: CommandContext,
  words: readonly string[],
  options: { values?: boolean; json?: boolean },
): Promise<boolean> {
  const ids = parseLetterIds(words);
  if (ids.length !== 1) {
    throw new CrosswalkError('config_invalid.argument_missing', 'One dead letter at a time', {
      argument: 'one id from `crosswalk dlq list`',
    });
  }
  const found = await withTarget(context, async (client) => {
    const [letter] = await readLetters(client, { ids, resolvedToo: true }, 1);
    if (letter === undefined) return null;
    return { letter, siblings: await readSiblings(client, letter), record: await readRecord(client, letter) };
  });
  if (found === null || found.record === null) {
    throw new CrosswalkError('config_invalid.letter_unknown', `There is no dead letter ${toLetterId(ids[0]!)}`);
  }
  const { letter, siblings } = found;
  const content = await readContent(context, letter, found.record);
  const cells =
    'problem' in content || content.after === null
      ? null
      : Object.fromEntries(
          Object.entries(content.after).map(([column, cell]) => [
            column,
            cell === null || options.values ? cell : `(${cell.length} characters)`,
          ]),
        );
  const openSiblings = siblings.open.map(toLetterId);
  if (options.json) {
    const change = 'problem' in content ? content : { op: content.op, lineage: content.lineage, cells };
    printJson({ id: toLetterId(letter), ...letter, change, row: { open: openSiblings, parked: siblings.parked } });
    return true;
  }
  const program = context.pipeline.projections.find(({ name }) => name === letter.projection)?.version;
  const lines: [string, string][] = [
    ['id', toLetterId(letter)],
    ['row', `${letter.legacyTable}, key ${letter.legacyKey}`],
    ['reason', letter.reason],
    ['mapping version', `${letter.mappingVersion}${program === undefined ? '' : `, this program has ${program}`}`],
    ['source LSN', letter.sourceLsn],
    ['record', toBytesText(BigInt(letter.bytes))],
    ['failed at', letter.failedAt],
    ['resolved', letter.resolvedAt === null ? 'no' : `${letter.resolvedAt}: ${letter.resolution}`],
    ...('problem' in content
      ? [['change', `unknown: ${content.problem}`] as [string, string]]
      : ([
          ['change', { c: 'insert', u: 'update', d: 'delete', r: 'read by the initial load' }[content.op]],
          ['committed at', `${content.lineage.committedAt}, xid ${content.lineage.xid}`],
        ] as [string, string][])),
    ...(siblings.parked > 0 ? [['also parked', `${siblings.parked} changes of this row`] as [string, string]] : []),
    ...openSiblings.map((id): [string, string] => ['also open', id]),
  ];
  for (const line of toTableLines(lines)) print(line);
  if (cells === null) return true;
  print();
  for (const line of toTableLines(
    Object.entries(cells).map(([column, cell]) => [
      column,
      cell === null ? 'null' : options.values ? JSON.stringify(cell) : cell,
    ]),
  ))
    print(line);
  return true;
}

async function readContent(
  { pipeline, config }: CommandContext,
  letter: Letter,
  record: { key: Buffer; value: Buffer },
): Promise<SourceChange | { readonly problem: string }> {
  const projection = pipeline.projections.find(({ name }) => name === letter.projection);
  if (projection === undefined) return { problem: `this program has no projection ${letter.projection}` };
  let registry: ReturnType<typeof createRegistry> | null = null;
  try {
    const { url, ...credentials } = config.registry();
    registry = createRegistry({ baseUrl: url, ...credentials });
    // Requires no columns, so that it also decodes if a column that the projection now requires is missing.
    const decoder = createChangeDecoder({ ...projection, requires: [] }, registry);
    const [change] = await decoder.decode(letter.topic, letter.partition, [
      { offset: BigInt(letter.offset), ...record },
    ]);
    return change ?? { problem: 'the record is empty' };
  } catch (error) {
    return { problem: toCrosswalkError(error, 'schema registry').message };
  } finally {
    registry?.close();
  }
}

/** Applies dead letters again. Returns whether none of them is left. */
export async function redrive(
  context: CommandContext,
  ids: readonly string[],
  options: LetterOptions & { dryRun?: boolean; json?: boolean },
): Promise<boolean> {
  const { pipeline, config, signal, isTerminal } = context;
  const selection = toSelection(context, ids, options);
  const by = await withTarget(context, readUser);
  const url = config.targetUrl();
  const pool = createProjectorPool(url, 'dlq', 1, liveNamespace(config.targetSchema));
  const { url: baseUrl, ...credentials } = config.registry();
  const registry = createRegistry({ baseUrl, ...credentials });
  const progress = options.json
    ? null
    : createProgress({ label: 'redrive', total: 0, isTerminal, write: (text) => process.stdout.write(text) });
  try {
    const shapes = await readTargetShapes(pool, pipeline.projections);
    const tenants = readTenants(pipeline);
    const appliers = pipeline.projections.map(
      (projection): Applier => ({
        ...{ projection, tenants, shapes },
        // A dead letter caused by a missing column stays one.
        decoder: createChangeDecoder(projection, registry, { readToldColumns: async () => projection.requires }),
      }),
    );
    const result = await redriveLetters(pool, appliers, {
      selection,
      by,
      dryRun: options.dryRun === true,
      signal,
      onProgress: (done, total) => progress?.update(done, total),
    });
    progress?.close();
    const left = [...result.left].map(([reason, count]) => ({ reason, count }));
    const open = left.reduce((sum, { count }) => sum + count, result.held);
    if (options.json) printJson({ dryRun: options.dryRun === true, ...result, left });
    else for (const line of toRedriveLines(result, options.dryRun === true)) print(line);
    if (signal.aborted) print('stopped: what was done so far stays; run it again for the rest');
    return open === 0 && !signal.aborted;
  } catch (error) {
    throw toCrosswalkError(error, `target database ${addressOf(url)}`);
  } finally {
    registry.close();
    await pool.end();
  }
}

/** Summary of `dlq redrive`. */
export function toRedriveLines(result: Awaited<ReturnType<typeof redriveLetters>>, dryRun: boolean): string[] {
  const { selected, applied, overtaken, held, left } = result;
  const remaining = [...left].toSorted(([, a], [, b]) => b - a);
  const lines = [
    `${dryRun ? 'Nothing is changed. Of' : 'Of'} ${toCountText(selected)} dead letters ${toCountText(applied)} ${dryRun ? 'would be' : 'were'} applied`,
    ...(overtaken > 0 ? [`  ${toCountText(overtaken)} are obsolete: a later version of their row was applied`] : []),
    ...(held > 0
      ? [`  ${toCountText(held)} stay: other changes of their rows are waiting, redrive again once those are applied`]
      : []),
    ...remaining.map(([reason, count]) => `  ${toCountText(count)} stay: ${reason}`),
  ];
  return lines;
}

/** Resolves dead letters without applying them, after a confirmation. */
export async function discard(
  context: CommandContext,
  ids: readonly string[],
  options: Omit<LetterOptions, 'reason'> & {
    matching?: string;
    reason: string;
    dryRun?: boolean;
    yes?: boolean;
    json?: boolean;
  },
): Promise<boolean> {
  const { reason: why, matching, ...rest } = options;
  const selection = toSelection(context, ids, matching === undefined ? rest : { ...rest, reason: matching });
  if (why.trim() === '') {
    throw new CrosswalkError('config_invalid.letter_reason', '--reason is empty');
  }
  // The confirmation does not cover changes that fail while the question is open.
  const { counts, failedBy } = await withTarget(context, async (client) => ({
    failedBy: (await client.query<{ at: string }>('SELECT now()::text AS at')).rows[0]!.at,
    counts: await countLetters(client, selection),
  }));
  const total = counts.reduce((sum, { open }) => sum + open, 0);
  if (!options.json) {
    for (const line of toTableLines(
      counts.map((row) => [toCountText(row.open), row.projection, row.reason]),
      [0],
    ))
      print(line);
  }
  let discarded = 0;
  if (total > 0 && !options.dryRun) {
    const question = `Discard ${toCountText(total)} dead letters? Their changes are never applied: the rows stay as they are until a later change of them.`;
    if (!options.yes && !(await confirm(context, question))) return false;
    discarded = await withTarget(context, async (client) => {
      const resolution = `discarded by ${await readUser(client)}: ${why}`;
      return await discardPages(client, { ...selection, failedBy }, resolution, context.signal);
    });
  }
  if (options.json) printJson({ dryRun: options.dryRun === true, selected: total, discarded });
  else if (options.dryRun) print(`Nothing is changed: ${toCountText(total)} dead letters would be discarded`);
  else print(`${toCountText(discarded)} dead letters discarded`);
  return true;
}

async function discardPages(
  client: pg.Client,
  selection: Selection,
  resolution: string,
  signal: AbortSignal,
): Promise<number> {
  let discarded = 0;
  for (let after: Letter | null = null; !signal.aborted; ) {
    const page: Letter[] = await readLetters(client, selection, PAGE, after);
    if (page.length === 0) break;
    discarded += await discardLetters(client, page, resolution);
    after = page.at(-1)!;
  }
  return discarded;
}

/** The role of this connection. */
async function readUser(client: pg.Client): Promise<string> {
  return (await client.query<{ user: string }>('SELECT session_user::text AS user')).rows[0]!.user;
}
