import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cache, root } from './tree.ts';

/** A run that takes longer hangs, and is ended. */
const LIMIT_MS = 300_000;
/** How long a run may clean up after its first failure: a bug may keep it from ever ending. */
const CLEAN_UP_MS = 15_000;

export interface TestRun {
  readonly passed: number;
  /** Names of failed tests; of files that failed outside of a test, their path. */
  readonly failed: readonly string[];
  /** Why there is no result, null where there is one. */
  readonly broken: string | null;
}

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** What the tests of a tree are run with. */
export interface TestPlan {
  readonly tests: readonly string[];
  readonly testName: string | null;
  /** Addresses of the servers. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** How long one test may take; as long as it says itself unless given. */
  readonly testTimeoutMs?: number;
}

/** Runs tests of a tree; what they start ends with them, and what they write lies below `tmp`. */
export async function runTests(
  tree: string,
  tmp: string,
  { tests, testName, env, signal, testTimeoutMs }: TestPlan,
): Promise<TestRun> {
  const output = join(tmp, 'report.json');
  mkdirSync(tmp, { recursive: true });
  const projects = ['unit', 'integration'].filter((name) => tests.some((test) => test.startsWith(`test/${name}/`)));
  const args = [
    join(tree, 'node_modules/vitest/vitest.mjs'),
    ...['run', '--bail=1', '--reporter=verbose', '--reporter=json', `--outputFile.json=${output}`],
    ...projects.flatMap((name) => ['--project', name]),
    ...(testName === null ? [] : ['-t', testName.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')]),
    ...(testTimeoutMs === undefined ? [] : [`--testTimeout=${testTimeoutMs}`]),
    ...tests,
  ];
  const result = await runProgram(args, {
    cwd: tree,
    env: { ...env, CROSSWALK_LONG: '1', TMPDIR: tmp, CROSSWALK_CACHE: cache, NO_COLOR: '1' },
    signal,
    endsAfter: FAILURE,
  });
  // Servers that a test started for itself run in groups of their own.
  await runProgram([join(root, 'test/end-left-overs.ts'), tmp], { cwd: root, env: {}, signal: null });
  if (signal.aborted) return { passed: 0, failed: [], broken: 'interrupted' };
  const failure = FAILURE.exec(result.text)?.[1];
  if (!existsSync(output) && failure !== undefined) return { passed: 0, failed: [failure], broken: null };
  if (result.timedOut) return { passed: 0, failed: [], broken: `not done after ${LIMIT_MS / 1000} s` };
  if (!existsSync(output))
    return { passed: 0, failed: [], broken: result.text.trim().split('\n').slice(-5).join('\n') };
  const report = JSON.parse(readFileSync(output, 'utf8')) as Report;
  rmSync(tmp, { recursive: true, force: true });
  return { ...toResult(report), broken: null };
}

/** A failed test, as soon as it has failed: mark, project, file and name. */
const FAILURE = /^ *× .*?\.test\.ts > (.+?)(?: \d+m?s)?$/m;

function toResult(report: Report): Pick<TestRun, 'passed' | 'failed'> {
  const all = report.testResults.flatMap((file) => file.assertionResults);
  const failed = report.testResults.flatMap((file) => {
    const names = file.assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
    return names.length === 0 && file.status === 'failed' ? [`set-up of ${file.name.split('/').at(-1)}`] : names;
  });
  return { passed: all.filter(({ status }) => status === 'passed').length, failed };
}

/** What the type checker has found of a tree. */
export const TYPES = '.types.json';

/** The errors of the type checker in a tree, null where there are none. Goes on from what it has found before, in this tree or in one that this is a copy of. */
export async function checkTypes(tree: string, signal: AbortSignal): Promise<string | null> {
  const tsc = join(tree, 'node_modules/typescript/bin/tsc');
  const { code, text } = await runProgram([tsc, '--noEmit', '--incremental', '--tsBuildInfoFile', TYPES], {
    ...{ cwd: tree, env: {}, signal },
  });
  return code === 0 ? null : text.trim().split('\n').slice(0, 3).join('\n') || `tsc ended with ${code}`;
}

interface Finished {
  readonly code: number | null;
  readonly text: string;
  readonly timedOut: boolean;
}

/** Runs a program of Node.js in a process group of its own, which is ended with it. */
async function runProgram(
  args: readonly string[],
  options: { cwd: string; env: Readonly<Record<string, string>>; signal: AbortSignal | null; endsAfter?: RegExp },
): Promise<Finished> {
  const child = spawn(process.execPath, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const end = () => endGroup(child);
  let text = '';
  let timedOut = false;
  let cleaningUp: NodeJS.Timeout | undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (more: string) => {
      text = (text + more).slice(-20_000);
      if (options.endsAfter?.test(text)) cleaningUp ??= setTimeout(end, CLEAN_UP_MS);
    });
  }
  const timer = setTimeout(() => {
    timedOut = true;
    end();
  }, LIMIT_MS);
  options.signal?.addEventListener('abort', end, { once: true });
  if (options.signal?.aborted) end();
  const [code] = (await once(child, 'exit')) as [number | null];
  clearTimeout(timer);
  clearTimeout(cleaningUp);
  options.signal?.removeEventListener('abort', end);
  end();
  return { code, text, timedOut };
}

function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}
