// Databases that a migration is run on, and what may be asked of them.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { parsePhase } from '../../cli/phases/all.ts';
import { carryOut, type PhaseResult } from '../../cli/phases/carry-out.ts';
import { alone, withRun } from '../../cli/phases/open-run.ts';
import { createLegacySchema, loadSample } from '../../pipelines/crm/sample/load.ts';
import { createLog } from '../../runtime/log.ts';
import { connect } from '../../runtime/postgres.ts';
import { crm, parseConfig } from './crm.ts';
import { describeCapture, describeCatalog } from './describe-catalog.ts';
import { createDatabases, stackAddresses } from './stack.ts';

/** An empty target database and a legacy one with sample rows, none of it prepared. */
export interface PhaseRig {
  readonly env: Readonly<Record<string, string>>;
  readonly target: pg.Client;
  readonly legacy: pg.Client;
  /** A folder that does not exist yet. */
  newFolder(): string;
  /** Everything that is defined in both databases, but for the log of phases. */
  describe(): Promise<string[]>;
  drop(): Promise<void>;
}

export async function createPhaseRig(name: string): Promise<PhaseRig> {
  const databases = await createDatabases(name);
  const stack = stackAddresses();
  const id = `${name}_${randomBytes(4).toString('hex')}`;
  const dir = mkdtempSync(join(tmpdir(), 'crosswalk-phases-'));
  const loader = new pg.Client({ connectionString: databases.legacyUrl });
  await loader.connect();
  await createLegacySchema(loader);
  await loadSample(loader, { seed: 7, contacts: 60, quotes: 60 });
  await loader.end();
  const target = await connect(databases.targetUrl, 'observe');
  const legacy = await connect(databases.legacyUrl, 'observe');
  let folders = 0;
  return {
    env: {
      LEGACY_DATABASE_URL: databases.legacyUrl,
      TARGET_DATABASE_URL: databases.targetUrl,
      KAFKA_BROKERS: stack.kafkaBrokers,
      SCHEMA_REGISTRY_URL: stack.registryUrl,
      CROSSWALK_SLOT: id,
      CROSSWALK_TOPIC_PREFIX: id,
      CROSSWALK_PARTITIONS: '2',
    },
    target,
    legacy,
    newFolder: () => join(dir, `backup-${++folders}`),
    async describe() {
      const lines = await describeCatalog(target, ['crm', 'crosswalk']);
      return [
        ...lines.filter((line) => !/phase_log|crosswalk\.migration/.test(line)),
        ...(await describeCapture(legacy)),
      ];
    },
    async drop() {
      rmSync(dir, { recursive: true, force: true });
      await target.end();
      await legacy.end();
      await databases.drop();
    },
  };
}

/** Carries phases out, or takes them back, in this process; stops at the first one that does not come to its end. */
export async function carry(
  rig: PhaseRig,
  names: readonly string[],
  action: 'run' | 'rollback' = 'run',
  env: Readonly<Record<string, string>> = {},
): Promise<PhaseResult[]> {
  const ownEnv = { ...rig.env, ...env };
  const context = {
    pipeline: crm,
    config: parseConfig(ownEnv),
    env: ownEnv,
    ownEnv,
    log: createLog('silent'),
    giveUp: () => undefined,
    signal: new AbortController().signal,
    isTerminal: false,
  };
  const options = {
    to: 'capture' as const,
    backupDir: rig.newFolder(),
    restoreInto: null,
    lockTimeoutMs: 2000,
    waitSeconds: 60,
    withoutBackup: null,
  };
  return await withRun(context, options, true, (run) =>
    alone(run, async () => {
      const results: PhaseResult[] = [];
      for (const name of names) {
        results.push(await carryOut(run, parsePhase(name), action, { yes: true }));
        if (results.at(-1)!.verdict !== 'done') break;
      }
      return results;
    }),
  );
}
