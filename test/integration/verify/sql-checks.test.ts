// `verify --sql`: its script says PASS for a pipeline at rest, in one database and in two, and names what was tampered with.
import { spawnSync } from 'node:child_process';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSample } from '../../../pipelines/crm/sample/load.ts';
import { connect } from '../../../runtime/postgres.ts';
import { expectCli } from '../../support/cli.ts';
import { type ConnectorRig, createConnectorRig } from '../../support/connector.ts';
import { type CliProcess, startCli } from '../../support/connector-process.ts';
import { type PsqlResult, runPsql } from '../../support/psql.ts';

let rig: ConnectorRig;
let env: Record<string, string>;
let owner: pg.Client;
const processes: CliProcess[] = [];

/** The same server by another name: for the command these are two databases. */
function elsewhere(address: string): string {
  const url = new URL(address);
  url.hostname = url.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
  return url.href;
}

const withoutPassword = (address: string) => {
  const url = new URL(address);
  url.password = '';
  return url.href;
};

async function check(): Promise<PsqlResult> {
  return await runPsql(await expectCli(['verify', '--sql'], env), env.TARGET_DATABASE_URL!);
}

/** By psql itself, where there is one. Returns its exit code and what went wrong; null: there is none. */
function askPsql(script: string, address: string): string | null {
  if (spawnSync('psql', ['--version']).status !== 0) return null;
  const PGPASSWORD = decodeURIComponent(new URL(env.TARGET_DATABASE_URL!).password);
  const environment = { ...process.env, PGPASSWORD };
  const run = spawnSync('psql', ['-X', '-q', address], { input: script, encoding: 'utf8', env: environment });
  return `${run.status} ${run.stderr.replaceAll(/^.*NOTICE: .*\n/gm, '')}`;
}

/** The figures by their names. */
const figuresOf = ({ tables }: PsqlResult) =>
  Object.fromEntries(tables.at(-1)!.map(({ check, status, expected }) => [check!, `${status} ${expected}`]));

describe('checks for psql', () => {
  beforeAll(async () => {
    rig = await createConnectorRig('sqlchecks');
    // Both schemas in one database.
    env = { NODE_NO_WARNINGS: '1', ...rig.env, TARGET_DATABASE_URL: rig.env.LEGACY_DATABASE_URL! };
    await loadSample(rig.env.LEGACY_DATABASE_URL!, { seed: 11, contacts: 200, quotes: 400 });
    // What the plan's own checks get wrong: spaces for a status, items in a JSON string, a total that is no number, a quote without a phone, money without an invoice number.
    await rig.legacy.query(
      `INSERT INTO quotes (company_id, customer_name, email, phone, status, quote_number, items, total, invoice_number, paid_at) VALUES
         (NULL, 'A', NULL, NULL, ' ', NULL, '"[{\\"name\\": \\"a\\"}, 7]"', NULL, NULL, NULL),
         (NULL, 'B', 'b@example.org', NULL, NULL, NULL, '"no array"', 'NaN', NULL, NULL),
         (gen_random_uuid(), 'C', NULL, '1', ' Accepted ', NULL, NULL, 12.5, ' ', now()),
         (gen_random_uuid(), 'D', NULL, '1', NULL, NULL, '[]', NULL, 'I-1', now()),
         (gen_random_uuid(), 'E', NULL, '1', NULL, NULL, NULL, 0, NULL, NULL)`,
    );
    await expectCli(['migrate', 'up'], env);
    for (const name of ['connect', 'project']) processes.push(startCli([name], env));
    await expectCli(['wait', '--timeout', '120'], env);
    owner = await connect(env.TARGET_DATABASE_URL!, 'test');
  }, 180_000);
  afterAll(async () => {
    for (const { child, isRunning } of processes) if (isRunning()) child.kill('SIGKILL');
    await Promise.all(processes.map(({ ended }) => ended));
    await owner?.end();
    await rig?.drop();
  });

  test('all pass on one database, in one snapshot; nothing stays', async () => {
    const result = await check();
    expect([result.code, result.error]).toEqual([0, null]);
    expect(askPsql(await expectCli(['verify', '--sql'], env), env.TARGET_DATABASE_URL!) ?? '0 ').toBe('0 ');
    const figures = figuresOf(result);
    expect(Object.values(figures).every((figure) => figure.startsWith('PASS'))).toBe(true);
    expect(figures).toMatchObject({
      '1 customers: legacy quotes that one of them stands for': 'PASS 405',
      '4 orphans: jobs without a quote': 'PASS 0',
      '6 contacts with a user and a chatbot': 'PASS 200',
    });
    for (const name of ['2 quotes', '2 quotes: items', '3 totals: rejects, not a finite number'])
      expect(figures[name]).toMatch(/^PASS [1-9]/);
    const { rowCount } = await owner.query(
      `SELECT FROM pg_class WHERE relname = 'quote_read' UNION ALL SELECT FROM pg_proc WHERE proname = 'array_of'`,
    );
    expect(rowCount).toBe(0);
  });

  test('all pass on two databases, the second of which the script connects to without a password', async () => {
    const apart: Record<string, string> = { ...env, LEGACY_DATABASE_URL: elsewhere(env.LEGACY_DATABASE_URL!) };
    const { databases, script } = JSON.parse(await expectCli(['verify', '--sql', '--json'], apart)) as {
      databases: number;
      script: string;
    };
    expect(databases).toBe(2);
    for (const url of [apart.LEGACY_DATABASE_URL!, apart.TARGET_DATABASE_URL!])
      expect(script).not.toContain(new URL(url).password);
    const logins = { [withoutPassword(apart.TARGET_DATABASE_URL!)]: apart.TARGET_DATABASE_URL! };
    const result = await runPsql(script, apart.LEGACY_DATABASE_URL!, logins);
    expect([result.code, result.error]).toEqual([0, null]);
    expect(figuresOf(result)).toEqual(figuresOf(await check()));
    expect(askPsql(script, apart.LEGACY_DATABASE_URL!) ?? '0 ').toBe('0 ');
  });

  const someQuote = `(SELECT id FROM crm.quotes_new q WHERE total > 0 AND EXISTS (SELECT FROM crm.quote_items_new i WHERE i.quote_id = q.id) ORDER BY id LIMIT 1)`;
  const somePayment = '(SELECT id FROM crm.payments WHERE amount > 0 ORDER BY id LIMIT 1)';
  test.each([
    [`UPDATE crm.quotes_new SET total = total + 0.01 WHERE id = ${someQuote}`, ['3 totals: sum']],
    [
      `DELETE FROM crm.quote_items_new WHERE id = (SELECT id FROM crm.quote_items_new ORDER BY id LIMIT 1)`,
      ['2 quotes: items'],
    ],
    [
      `UPDATE crm.payments SET deleted_at = now() WHERE id = ${somePayment}`,
      ['3 totals: sum of what was paid', '5 payments', '5 payments: paid invoices without one'],
    ],
    [
      `UPDATE crm.customers SET customer_key = 'n:nobody|' WHERE id = (SELECT customer_id FROM crm.quotes_new ORDER BY id LIMIT 1)`,
      ['1 customers: tenant and customer key without one'],
    ],
  ])('a row that was tampered with is named: %s', async (tamper, names) => {
    // The mistake is made in the script's own transaction, and goes with it.
    const script = (await expectCli(['verify', '--sql'], env)).replaceAll(/^(BEGIN .*|ROLLBACK;)$/gm, '');
    const tampered = `BEGIN;\n${tamper};\n${script}`;
    const result = await runPsql(tampered, env.TARGET_DATABASE_URL!);
    expect(result.code).toBe(3);
    expect(result.error).toBe(`FAILED: ${names.join('; ')}`);
    expect(askPsql(tampered, env.TARGET_DATABASE_URL!) ?? names.join('; ')).toContain(names.join('; '));
    expect((await check()).code).toBe(0);
  });
});
