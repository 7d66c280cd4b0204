import { spawn } from 'node:child_process';
import { type Check, checksOf } from '../../monitor/checks.ts';
import { PROGRAM } from '../program.ts';
import type { Phase, PhaseRun } from './phase.ts';

const KEPT_CHARACTERS = 4000;

/** Recomputes every row from the legacy tables and compares it: `crosswalk verify`. */
export const verify: Phase = {
  name: 'verify',
  summary: 'compares every projected row with what the legacy rows imply, as `crosswalk verify` does',
  rollbackSummary: 'nothing',
  forward: {
    check: async () => [],
    plan: async () => ({
      isNeeded: true,
      sections: [],
      notes: ['runs `crosswalk verify`; no statement changes a row'],
    }),
    count: async () => ({}),
    work: runVerification,
    confirm: async (_run, { detail }) => [toVerifyCheck(detail.exitCode)],
    asks: false,
  },
  back: null,
};

/** Runs the command in a child process. Only its output and exit code are used. Throws if it could not run. */
async function runVerification({ context, isJson }: PhaseRun): Promise<Record<string, unknown>> {
  const child = spawn(process.execPath, [PROGRAM, 'verify', ...(isJson ? ['--json'] : [])], {
    env: { ...context.env },
    stdio: ['ignore', isJson ? 'pipe' : 'inherit', 'inherit'],
  });
  const stop = () => child.kill('SIGTERM');
  context.signal.addEventListener('abort', stop);
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  context.signal.removeEventListener('abort', stop);
  return { exitCode, ...summarise(output) };
}

/** The scalars in its output, which suffice to identify a verification. */
function summarise(output: string): Record<string, unknown> {
  try {
    const parsed = JSON.parse(output) as Record<string, unknown>;
    const isScalar = (value: unknown) => value === null || ['string', 'number', 'boolean'].includes(typeof value);
    return { result: Object.fromEntries(Object.entries(parsed).filter(([, value]) => isScalar(value))) };
  } catch {
    return output === '' ? {} : { output: output.slice(-KEPT_CHARACTERS) };
  }
}

/** Meaning of the exit code of `crosswalk verify`. */
export function toVerifyCheck(exitCode: unknown): Check {
  const { ok, failing } = checksOf('pipeline');
  if (exitCode === 0) return ok('verify', 'every row is equal');
  if (exitCode === 1)
    return failing(
      'verify',
      'Rows differ, or something is left to settle',
      'Run `crosswalk verify`: it names them; `crosswalk verify --repair` mends them.',
    );
  return failing(
    'verify',
    'The verification did not come to its end',
    'Run `crosswalk verify`: its last line says why.',
  );
}
