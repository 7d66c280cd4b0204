// make chaos: attacks the whole pipeline for as long as asked, and counts. README.md beside this file says what each figure is.

import { toReport } from './report.ts';
import { runChaos } from './run.ts';

const number = (name: string, fallback: number): number => {
  const value = Number(process.env[name] || fallback);
  if (!(value > 0)) {
    process.stderr.write(`${name} must be a number above 0\n`);
    process.exit(2);
  }
  return value;
};
const plan = {
  seed: process.env.SEED || String(Date.now() % 1_000_000),
  seconds: number('MINUTES', 10) * 60,
  changesPerSecond: number('CHANGES', 500),
  faultsPerMinute: number('FAULTS', 18),
  rows: number('ROWS', 3000),
  schemaWeight: process.env.SCHEMA === '0' ? 0 : number('SCHEMA', 10),
};
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.abort(new Error(signal)));

const say = (line: string) => process.stderr.write(`${line}\n`);
say(
  `SEED=${plan.seed}: ${plan.seconds / 60} min, ${plan.changesPerSecond} changes a second, about ${plan.faultsPerMinute} faults a minute`,
);
try {
  const result = await runChaos(plan, stopping.signal, say);
  process.stdout.write(process.env.JSON ? `${JSON.stringify(result, null, 2)}\n` : toReport(result));
  process.exitCode = result.isClean ? 0 : 1;
} catch (error) {
  say(stopping.signal.aborted ? 'interrupted' : `chaos: ${error instanceof Error ? error.stack : String(error)}`);
  process.exitCode = 2;
}
