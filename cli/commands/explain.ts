import type { ExplainContext, ExplainOptions } from '../../projectors/explain/context.ts';
import { explainLegacy } from '../../projectors/explain/explain-legacy.ts';
import { explainRow } from '../../projectors/explain/explain-row.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { createRegistry } from '../../schemas/avro/registry.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { toLegacyLines, toRowLines } from '../explain-text.ts';
import { createProgress } from '../progress.ts';

/**
 * Explains a row of the new schema by its id, or with `legacy` a legacy row by its key: its origin, or the rows that came from it. Returns false if there is a problem
 * with the row or no such row.
 */
export async function explain(
  context: CommandContext,
  table: string,
  words: readonly string[],
  options: { legacy?: boolean; unmask?: boolean; full?: boolean; since?: string; limit: number; json?: boolean },
): Promise<boolean> {
  const { config, log, signal, isTerminal } = context;
  const given: ExplainOptions = {
    unmask: options.unmask === true,
    full: options.full === true,
    sinceMs: options.since === undefined ? null : parseSince(options.since),
    limit: options.limit,
  };
  if (!options.legacy && words.length !== 1) {
    throw new CrosswalkError('config_invalid.id_of_several', 'A row has one id');
  }
  const progress = createLateProgress(options.json === true, isTerminal);
  const { url, ...credentials } = config.registry();
  const registry = createRegistry({ baseUrl: url, ...credentials, unknownMs: 0 });
  const from: ExplainContext = {
    config,
    kafka: createKafka(config.kafka(), log),
    registry,
    projections: context.pipeline.projections,
    tenants: readTenants(context.pipeline),
    otherSettings: context.pipeline.tenants.others ?? {},
    rejects: context.pipeline.rejects,
    signal,
    onProgress: progress.update,
  };
  try {
    if (options.legacy) {
      const found = await explainLegacy(from, { table, key: words }, given);
      progress.close();
      if (options.json) printJson(found);
      else for (const line of toLegacyLines(found, { ...given, targetSchema: config.targetSchema })) print(line);
      return found.problems.length === 0;
    }
    const found = await explainRow(from, { table, id: words[0]! }, given);
    progress.close();
    if (options.json) printJson(found);
    else for (const line of toRowLines(found, { ...given, targetSchema: config.targetSchema })) print(line);
    return found.problems.length === 0;
  } finally {
    registry.close();
  }
}

const SHORT_MS = 1000;

/** Progress of slow work, on standard error, since the output may be read by a program. */
function createLateProgress(isQuiet: boolean, isTerminal: boolean) {
  let startedAtMs: number | null = null;
  let progress: ReturnType<typeof createProgress> | null = null;
  return {
    update(done: number, total: number) {
      startedAtMs ??= performance.now();
      if (isQuiet || (progress === null && performance.now() - startedAtMs < SHORT_MS)) return;
      const write = (text: string) => process.stderr.write(text);
      progress ??= createProgress({ label: 'reading the log', total, isTerminal, write });
      progress.update(done, total);
    },
    close: () => progress?.close(),
  };
}

/** Parses an ISO date or time into milliseconds since 1970; UTC unless it has a zone. */
function parseSince(text: string): number {
  const match = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}(?::?\d{2})?)?)?$/.exec(text);
  const zone = match?.[1];
  const iso = text.replace(' ', 'T') + (zone?.length === 3 ? ':00' : '');
  const ms = match === null ? Number.NaN : Date.parse(iso.includes('T') && zone === undefined ? `${iso}Z` : iso);
  if (!Number.isNaN(ms)) return ms;
  throw new CrosswalkError('config_invalid.argument', '--since is no time', {
    argument: '--since',
    as: '2026-07-01, or 2026-07-01T10:30:00Z',
  });
}
