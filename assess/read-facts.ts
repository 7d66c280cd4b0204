import type pg from 'pg';
import { captureOf, readSource, type SourceState } from '../connectors/source-state.ts';
import { readSourceChecks } from '../monitor/source-checks.ts';
import type { Config } from '../runtime/config.ts';
import type { AssessedPipeline, Facts } from './facts.ts';
import { OLDEST_VERSION } from './judge.ts';
import { tryReadOnly } from './read-only.ts';
import { readServerFacts } from './server-facts.ts';
import { readTables } from './table-facts.ts';

const LIMIT_MS = 15_000;

/** Reads the server's state and its catalog. Changes nothing and reads no rows. */
export async function readFacts(
  client: pg.Client,
  config: Config,
  pipeline: AssessedPipeline,
  options: { walSeconds: number; signal: AbortSignal },
): Promise<Facts> {
  const { legacySchema, sources, projections } = pipeline;
  const captured: Config = { ...config, legacySchema, tables: sources };
  const server = await readServerFacts(client, { url: config.legacyUrl(), pipeline, ...options });
  const { tables, others } = await readTables(client, legacySchema, sources);
  if (server.versionNumber < OLDEST_VERSION || server.isStandby)
    return { server, checks: [], checksProblem: null, hints: [], source: null, tables, others };
  const checks = await tryReadOnly(client, LIMIT_MS, () =>
    readSourceChecks(client, captured, null, options.signal, projections),
  );
  const source = await tryReadOnly<SourceState>(client, LIMIT_MS, () => readSource(client, captureOf(captured)));
  const hints = await tryReadOnly(
    client,
    LIMIT_MS,
    async () => (await pipeline.hints?.(client, legacySchema, pipeline.tenants)) ?? [],
  );
  return {
    server,
    // If the hints cannot be read, the table that would hold them is faulty, which is reported.
    hints: 'value' in hints ? hints.value : [],
    checks: 'value' in checks ? checks.value : [],
    checksProblem: 'problem' in checks ? checks.problem : null,
    source: 'value' in source ? source.value : null,
    tables,
    others,
  };
}
