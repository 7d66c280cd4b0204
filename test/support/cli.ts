import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What a command of crosswalk came to: exit code, or the signal that ended it. */
export interface CliResult {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `crosswalk <args>` to its end, with this environment and no other setting. */
export async function runCli(args: readonly string[], env: Readonly<Record<string, string>>): Promise<CliResult> {
  const child = spawn(process.execPath, ['cli/main.ts', ...args], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      CROSSWALK_ENV_FILE: '/nowhere/env',
      LOG_LEVEL: 'warn',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code: code ?? signal ?? 'unknown', stdout, stderr };
}

/** Runs it and gives back what it printed; throws unless it ended with `code`. */
export async function expectCli(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  code: number | string = 0,
): Promise<string> {
  const result = await runCli(args, env);
  if (result.code !== code)
    throw new Error(`crosswalk ${args.join(' ')} ended with ${result.code}: ${result.stderr}\n${result.stdout}`);
  return result.stdout;
}
