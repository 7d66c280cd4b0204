import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import { addressConfig, addressOf } from '../../runtime/postgres.ts';
import { pause } from '../../runtime/retry.ts';
import { type CommandContext, print } from '../context.ts';
import { openLocalStack } from '../local-stack.ts';
import { assertRunning } from '../managed-process.ts';

const ENV_FILE = '.crosswalk/env';

/** Keeps a stack with connector and projectors running until Ctrl-C. Its data is kept for the next run. */
export async function up(context: CommandContext, options: { rows: number }): Promise<boolean> {
  // Kafka's log belongs to one legacy database: another one gets its own servers and data.
  const { LEGACY_DATABASE_URL: legacy, TARGET_DATABASE_URL: target } = context.ownEnv;
  const given = [legacy, target].flatMap((url) => (url ? [addressOf(url)] : []));
  const dir = given.length === 0 ? '.crosswalk/up' : `.crosswalk/up-${toShortHash(given.join(' '))}`;
  print('starting the servers');
  let isEmpty = false;
  const local = await openLocalStack(context, {
    dir,
    keepData: true,
    isEmpty: (message) => {
      isEmpty = true;
      print(`  ${message}`);
    },
  });
  try {
    if (isEmpty && context.env.SAMPLE === '1') {
      print('filling the legacy database with sample data');
      await fill(context, local.ownerUrl, options.rows);
    }
    writeFileSync(
      ENV_FILE,
      `${Object.entries(local.env)
        .map(([name, value]) => `${name}=${value}`)
        .join('\n')}\n`,
      { mode: 0o600 },
    );
    const processes = await local.startPipeline();
    print(`\nrunning; addresses are in ${ENV_FILE}, logs in ${dir}/logs`);
    for (const { name, port } of processes)
      print(`  ${name.padEnd(8)} http://127.0.0.1:${port}/healthz /readyz /metrics`);
    print(
      'look at it from another terminal: cli/crosswalk.sh status | lag | verify | rejects | gate all\nCtrl-C stops everything; the data stays\n',
    );
    while (!context.signal.aborted) {
      await pause(500, context.signal);
      assertRunning(processes, dir);
    }
    print('stopping');
  } finally {
    rmSync(ENV_FILE, { force: true });
    await local.close();
  }
  return true;
}

async function fill({ pipeline }: CommandContext, url: string, rows: number): Promise<void> {
  const sample = await pipeline.sample?.();
  if (sample === undefined)
    throw new CrosswalkError('config_invalid.argument_excess', `The pipeline ${pipeline.name} has no sample`, {
      argument: 'SAMPLE',
    });
  const legacy = new pg.Client(addressConfig(url, 'crosswalk-sample'));
  await legacy.connect();
  try {
    await sample.load(legacy, { seed: 1, rows, onRows: () => undefined });
  } finally {
    await legacy.end();
  }
}

function toShortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
