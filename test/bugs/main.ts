// make bugs: puts each known mistake back into a copy of the project, and sees the tests catch it. README.md beside this file says how to add one.
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import pg from 'pg';
import { openStack, type Stack } from '../../infra/stack/stack.ts';
import { applyPatch, type Bug, readBugs } from './bug.ts';
import { checkTypes, runTests, type TestPlan, type TestRun, TYPES } from './run-tests.ts';
import { copyTree, listFiles, root } from './tree.ts';

interface Verdict {
  readonly name: string;
  readonly bug: string;
  readonly caught: boolean;
  /** The tests that failed, or why there is no verdict. */
  readonly by: string;
  readonly seconds: number;
}

const isJson = process.argv.includes('--json') || Boolean(process.env.JSON);
const say = (line: string) => process.stderr.write(`${line}\n`);
const all = readBugs(import.meta.dirname);
const only = (process.env.ONLY ?? '').split(/[\s,]+/).filter((name) => name !== '');
const unknown = only.filter((name) => !all.some((bug) => bug.name === name));
if (unknown.length > 0) {
  say(`There is no bug ${unknown.join(', ')}: ${all.map(({ name }) => name).join(' ')}`);
  process.exit(2);
}
const bugs = only.length === 0 ? all : all.filter(({ name }) => only.includes(name));

const stopping = new AbortController();
const { signal } = stopping;
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stopping.abort(new Error(name)));

const dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-bugs-')));
const files = listFiles();
/** Bugs that are judged at once. Each job has servers of its own. */
const jobs = Math.min(bugs.length, Number(process.env.JOBS ?? 1));
if (!(jobs >= 1)) {
  say('JOBS is a number of jobs, 1 or more');
  process.exit(2);
}
const stacks: Stack[] = [];
const passing = new Map<string, Promise<{ run: TestRun; ms: number }>>();
/** What is judged is the project as it was at the start, whatever is edited meanwhile. */
const unpatched = join(dir, 'unpatched');

/** Runs tests without the bug, once: one that fails anyway catches nothing. */
function runUnpatched(plan: TestPlan, tmp: string): Promise<{ run: TestRun; ms: number }> {
  const key = JSON.stringify([plan.tests, plan.testName]);
  const startMs = performance.now();
  const run =
    passing.get(key) ??
    runTests(unpatched, tmp, plan).then((result) => ({ run: result, ms: performance.now() - startMs }));
  passing.set(key, run);
  return run;
}

async function judge(bug: Bug, job: number, stack: Stack | undefined): Promise<Pick<Verdict, 'caught' | 'by'>> {
  const tree = join(dir, bug.name);
  copyTree([...files, TYPES], unpatched, tree);
  try {
    const refused = applyPatch(tree, join(tree, relative(root, bug.file)));
    if (refused !== null) return { caught: false, by: `the patch does not apply: ${refused}` };
    const wrong = await checkTypes(tree, signal);
    if (wrong !== null) return { caught: false, by: `the patched tree has type errors: ${wrong}` };
    const plan = { tests: bug.tests, testName: bug.testName, env: addressesOf(stack), signal };
    const { run, ms } = await runUnpatched(plan, join(dir, `tmp-${job}`));
    if (run.broken !== null || run.failed.length > 0 || run.passed === 0)
      return { caught: false, by: `without the bug: ${run.broken ?? (run.failed.join('; ') || 'no test ran')}` };
    // Some bugs have a test wait for what never comes.
    const { failed, broken } = await runTests(tree, join(dir, `tmp-${job}`), {
      ...plan,
      testTimeoutMs: Math.max(30_000, Math.round(2 * ms)),
    });
    await dropLeftSlots(stack);
    return { caught: failed.length > 0, by: broken ?? (failed.join('; ') || 'every test passed') };
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

/** Tests that were ended leave slots behind, and a server has only so many. */
async function dropLeftSlots(stack: Stack | undefined): Promise<void> {
  if (stack?.adminUrl === undefined) return;
  const client = new pg.Client({ connectionString: stack.adminUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE active');
    await client.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active');
  } finally {
    await client.end();
  }
}

function addressesOf(stack: Stack | undefined): Record<string, string> {
  if (stack === undefined) return {};
  return {
    LEGACY_DATABASE_URL: stack.adminUrl ?? stack.legacyUrl,
    TARGET_DATABASE_URL: stack.adminUrl ?? stack.targetUrl,
    KAFKA_BROKERS: stack.kafkaBrokers,
    SCHEMA_REGISTRY_URL: stack.registryUrl,
  };
}

async function judgeAll(): Promise<Verdict[]> {
  copyTree(files, root, unpatched);
  // Each copy checks its types from here, so that only what its bug touches is checked again.
  const wrong = await checkTypes(unpatched, signal);
  if (wrong !== null) throw new Error(`type errors without any bug: ${wrong}`);
  const needsServers = bugs.some(({ tests }) => tests.some((test) => test.startsWith('test/integration/')));
  const verdicts: Verdict[] = [];
  const waiting = [...bugs];
  const work = async (job: number): Promise<void> => {
    let stack: Stack | undefined;
    if (needsServers) {
      stack = await openStack({ dir: join(dir, `servers-${job}`), env: process.env, log: say, keepData: false });
      stacks.push(stack);
    }
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const startMs = performance.now();
      const verdict = await judge(bug, job, stack);
      signal.throwIfAborted();
      const seconds = Math.round((performance.now() - startMs) / 100) / 10;
      verdicts.push({ name: bug.name, bug: bug.bug, ...verdict, seconds });
      say(
        `${verdicts.length}/${bugs.length} ${bug.name}: ${verdict.caught ? 'caught' : 'NOT CAUGHT'} (${seconds} s) ${verdict.by}`,
      );
    }
  };
  const working = Array.from({ length: jobs }, (_, job) => work(job));
  // No servers are ended while another job still uses its own.
  await Promise.allSettled(working);
  await Promise.all(working);
  return verdicts;
}

function toTable(verdicts: readonly Verdict[]): string {
  const width = Math.max(...verdicts.map(({ name }) => name.length));
  const lines = verdicts.map(({ name, caught, by, seconds }) => {
    const what = by.split('\n')[0]!;
    return `${name.padEnd(width)}  ${caught ? 'caught    ' : 'NOT CAUGHT'}  ${seconds.toFixed(1).padStart(6)} s  ${what.length > 110 ? `${what.slice(0, 109)}…` : what}`;
  });
  return `${lines.join('\n')}\n${verdicts.filter(({ caught }) => caught).length} of ${verdicts.length} caught\n`;
}

try {
  const verdicts = await judgeAll();
  process.stdout.write(isJson ? `${JSON.stringify(verdicts, null, 2)}\n` : toTable(verdicts));
  process.exitCode = verdicts.every(({ caught }) => caught) ? 0 : 1;
} catch (error) {
  say(signal.aborted ? 'interrupted' : `bugs: ${error instanceof Error ? error.stack : String(error)}`);
  process.exitCode = signal.aborted ? 130 : 2;
} finally {
  for (const stack of stacks) await stack.close();
  rmSync(dir, { recursive: true, force: true });
}
