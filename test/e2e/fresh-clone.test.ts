import { execFileSync, spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStack } from '../../infra/stack/stack.ts';
import { toE164 } from '../../pipelines/crm/values/phone.ts';
import { connect } from '../../runtime/postgres.ts';
import { fetchPhones, runOracle } from '../support/crm.ts';
import { processesOf } from '../support/processes-of.ts';

// What a newcomer does: clone, make demo. The clone holds the last commit, not what is being edited.

const root = resolve(import.meta.dirname, '../..');
const ROWS = 3000;
const TRAFFIC_SECONDS = 5;
/** Longer than a demo of this size takes on a busy machine; `make demo` promises minutes for a far larger one. */
const DEMO_LIMIT_MS = 240_000;

let dir: string;
let clone: string;

/** The environment of a shell that knows nothing of this run: no addresses of servers, no tools of this checkout. */
function newcomersEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(CROSSWALK_|LEGACY_|TARGET_|KAFKA_|SCHEMA_REGISTRY_|VITEST|NODE_|npm_|MAKE|MFLAGS|SAMPLE$|ROWS$|SECONDS$)/.test(
        name,
      ),
  );
  const path = (process.env.PATH ?? '').split(':').filter((entry) => !entry.endsWith('node_modules/.bin'));
  return {
    ...Object.fromEntries(kept),
    PATH: path.join(':'),
    // Fetched once for all clones of this checkout: they are the same files.
    CROSSWALK_CACHE: resolve(process.env.CROSSWALK_CACHE ?? join(root, '.crosswalk/jars')),
  };
}

function makeDemo(): Promise<{ exitCode: number | null; output: string }> {
  return new Promise((done, fail) => {
    const child = spawn('make', ['demo', `ROWS=${ROWS}`, `SECONDS=${TRAFFIC_SECONDS}`], {
      cwd: clone,
      env: newcomersEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: where it takes too long, all of it is ended, and nothing else.
      detached: true,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        output += text;
        process.stdout.write(text);
      });
    }
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGTERM'), DEMO_LIMIT_MS);
    child.once('error', fail);
    child.once('close', (exitCode) => {
      clearTimeout(timer);
      done({ exitCode, output });
    });
  });
}

async function count(url: string, sql: string): Promise<number> {
  const client = await connect(url, 'e2e');
  try {
    return Number((await client.query<{ count: string }>(sql)).rows[0]!.count);
  } finally {
    await client.end();
  }
}

const numberIn = (output: string, pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? Number.NaN);

beforeAll(() => {
  // Closed to others, as /root is: everything must run there too.
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-clone-')));
  clone = join(dir, 'crosswalk');
  execFileSync('git', ['clone', '--quiet', root, clone], { stdio: ['ignore', 'inherit', 'inherit'] });
  // npm ci empties what it finds there, also through a committed symbolic link to the packages of another checkout.
  const packages = lstatSync(join(clone, 'node_modules'), { throwIfNoEntry: false });
  if (packages !== undefined) throw new Error('node_modules is committed: remove it from git');
}, 60_000);

afterAll(() => {
  for (const line of processesOf(clone)) process.kill(Number(line.split(' ')[0]), 'SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

describe('make demo in a fresh clone', () => {
  let output = '';

  it('ends by itself, verified, with exactly the planted rejects and no dead letter', async () => {
    const result = await makeDemo();
    output = result.output;
    expect(result.exitCode).toBe(0);
    expect(output).toMatch(/^verified: every row is equal/m);
    expect(output).toMatch(/ 0 open dead letters, 0 changes waiting for their cause$/m);
    const planted = numberIn(output, /^rejects: (\d+) planted/m);
    expect(planted).toBeGreaterThan(0);
    expect(output).toContain(`rejects: ${planted} planted, ${planted} found, 0 missing, 0 not planted`);
    expect(numberIn(output, /^ {2}(\d+) changes in \d+ transactions/m)).toBeGreaterThan(0);
  });

  it('leaves no process and no file behind that git does not ignore', () => {
    expect(processesOf(clone)).toEqual([]);
    expect(execFileSync('git', ['status', '--porcelain'], { cwd: clone, encoding: 'utf8' })).toBe('');
  });

  it('left the rows that the legacy rows imply in the new schema', async (context) => {
    const data = join(clone, '.crosswalk/demo');
    // Containers take their volumes with them.
    if (!existsSync(join(data, 'postgres.created'))) return context.skip();
    const unused = { KAFKA_BROKERS: '127.0.0.1:9', SCHEMA_REGISTRY_URL: 'http://127.0.0.1:9' };
    const stack = await openStack({ dir: data, env: unused, keepData: true, log: () => undefined });
    try {
      const { legacyUrl, targetUrl } = stack;
      const phones = (await fetchPhones(legacyUrl)).map((raw) => ({ raw, country: 'US', e164: toE164(raw, 'US') }));
      expect(phones.length).toBeGreaterThan(ROWS / 10);
      expect(await runOracle({ legacyUrl, targetUrl, phones })).toEqual([]);
      const planted = numberIn(output, /^rejects: (\d+) planted/m);
      // Rejects of folded rows are marked as deleted, those of other rows are removed.
      const found = `SELECT (SELECT count(*) FROM crm.rejects WHERE origin = 'cdc')
        + (SELECT count(*) FROM crm.order_rejects WHERE origin = 'cdc' AND deleted_at IS NULL) AS count`;
      expect(await count(targetUrl, found)).toBe(planted);
      expect(await count(targetUrl, 'SELECT count(*) FROM crosswalk.dead_letter')).toBe(0);
    } finally {
      await stack.close();
    }
  });

  it('can be run again', async () => {
    const result = await makeDemo();
    expect(result.exitCode).toBe(0);
    expect(result.output).toMatch(/^verified: every row is equal/m);
    expect(processesOf(clone)).toEqual([]);
  });
});
