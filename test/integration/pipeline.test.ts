// The whole pipeline as processes, under traffic, with processes killed and frozen in between; in the end every row is equal.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFreePort } from '../../infra/stack/free-port.ts';
import { loadSample } from '../../pipelines/crm/sample/load.ts';
import { startTraffic } from '../../pipelines/crm/sample/traffic.ts';
import { connect } from '../../runtime/postgres.ts';
import { compareRows } from '../support/compare-rows.ts';
import { type ConnectorRig, createConnectorRig } from '../support/connector.ts';
import { type CliProcess, startCli } from '../support/connector-process.ts';
import { waitUntil } from '../support/wait-until.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
let rig: ConnectorRig;
const processes: CliProcess[] = [];

function start(args: readonly string[], env: Record<string, string> = {}): CliProcess {
  const started = startCli(args, { NODE_NO_WARNINGS: '1', ...rig.env, ...env });
  processes.push(started);
  return started;
}

async function succeed(args: readonly string[]): Promise<void> {
  const command = start(args);
  expect(`${args.join(' ')}: ${await command.ended} ${command.stderr()}`).toBe(`${args.join(' ')}: 0 `);
}

async function recordsApplied(port: number): Promise<number> {
  const text = await fetch(`http://127.0.0.1:${port}/metrics`).then(
    (response) => response.text(),
    () => '',
  );
  const counts = [...text.matchAll(/^crosswalk_projection_records_total\{[^}]*\} (\d+)/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

describe(`pipeline, seed ${seed}`, () => {
  beforeAll(async () => {
    rig = await createConnectorRig('pipeline', { env: { CROSSWALK_PARTITIONS: '6', CROSSWALK_BATCH_ROWS: '100' } });
    await loadSample(rig.env.LEGACY_DATABASE_URL!, { seed, contacts: 1200, quotes: 1200 });
    await succeed(['migrate', 'up']);
  });
  afterAll(async () => {
    for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
    await Promise.all(processes.map(({ ended }) => ended));
    await rig?.drop();
  });

  test('two projector processes share the work; kills and freezes lose and double nothing', async () => {
    const ports = [await findFreePort(), await findFreePort()];
    let connector = start(['connect']);
    let first = start(['project'], { CROSSWALK_HTTP_PORT: String(ports[0]) });
    const second = start(['project'], { CROSSWALK_HTTP_PORT: String(ports[1]) });
    const traffic = startTraffic({
      url: rig.env.LEGACY_DATABASE_URL!,
      seed,
      changesPerSecond: 250,
      largestTransaction: 100,
    });
    const committed = (changes: number) =>
      waitUntil(`${changes} changes`, () => traffic.progress().rowChanges >= changes);

    await waitUntil(
      'both projectors apply records',
      async () => (await recordsApplied(ports[0]!)) > 0 && (await recordsApplied(ports[1]!)) > 0,
    );
    await committed(600);
    first.child.kill('SIGKILL');
    await committed(900);
    connector.child.kill('SIGKILL');
    connector = start(['connect']);
    first = start(['project']);
    second.child.kill('SIGSTOP');
    await committed(2000);
    second.child.kill('SIGCONT');
    await committed(2500);
    await traffic.stop();

    await succeed(['wait', '--timeout', '120']);
    await succeed(['verify', '--json']);
    expect(
      await compareRows({ legacyUrl: rig.env.LEGACY_DATABASE_URL!, targetUrl: rig.env.TARGET_DATABASE_URL! }),
    ).toEqual([]);
    for (const running of [connector, first, second]) {
      running.child.kill('SIGTERM');
      expect(await running.ended).toBe(0);
    }
  }, 240_000);

  test('verify names a corrupted cell, a missing row and an extra one, and ends with 1', async () => {
    const target = await connect(rig.env.TARGET_DATABASE_URL!, 'test');
    try {
      const connector = start(['connect']);
      const projector = start(['project']);
      await target.query(
        `UPDATE crm.quotes_new SET notes = 'tampered' WHERE id = (SELECT min(id::text)::uuid FROM crm.quotes_new WHERE deleted_at IS NULL)`,
      );
      await target.query(
        `DELETE FROM crm.quote_items_new WHERE id = (SELECT min(id::text)::uuid FROM crm.quote_items_new)`,
      );
      await target.query(
        `INSERT INTO crm.tenants SELECT (jsonb_populate_record(t, '{"id": "nobody"}')).* FROM crm.tenants t LIMIT 1`,
      );
      const { status, stdout } = spawnSync(process.execPath, ['cli/main.ts', 'verify', '--json'], {
        cwd: fileURLToPath(new URL('../..', import.meta.url)),
        env: { PATH: process.env.PATH, ...rig.env },
        encoding: 'utf8',
      });
      expect(status).toBe(1);
      const result = JSON.parse(stdout) as {
        ok: boolean;
        tables: {
          table: string;
          missing: number;
          extra: number;
          differing: number;
          differences: { column: string | null }[];
        }[];
      };
      const of = (table: string) => result.tables.find((entry) => entry.table === table)!;
      expect(result.ok).toBe(false);
      expect(of('quotes_new')).toMatchObject({
        missing: 0,
        extra: 0,
        differing: 1,
        differences: [{ column: 'notes' }],
      });
      expect(of('quote_items_new')).toMatchObject({ missing: 1, extra: 0, differing: 0 });
      expect(of('tenants')).toMatchObject({ missing: 0, extra: 1, differing: 0 });
      // No value is printed unless asked for.
      expect(stdout).not.toContain('tampered');
      for (const running of [connector, projector]) {
        running.child.kill('SIGTERM');
        expect(await running.ended).toBe(0);
      }
    } finally {
      await target.end();
    }
  }, 120_000);
});
