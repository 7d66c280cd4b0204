import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { migrationsOf } from '../../projectors/pipeline.ts';
import type { Config } from '../../runtime/config.ts';
import { addressOf, connect, sourceOptions } from '../../runtime/postgres.ts';
import { untilUp } from '../../runtime/retry.ts';
import { holdingLock } from '../../schemas/advisory-lock.ts';
import { type DdlOptions, ddlDefaults } from '../../schemas/ddl-retry.ts';
import { ensurePhaseLog, readEntries } from '../../schemas/phase-log.ts';
import { type CommandContext, print } from '../context.ts';
import { createProgress } from '../progress.ts';
import type { PhaseOptions, PhaseRun } from './phase.ts';

/** Advisory lock for changes of a whole target database. */
export const LOCK = 'crosswalk.phases';

/** Lock options for DDL in one of the databases. */
export function ddlOptions(
  { signal }: Pick<CommandContext, 'signal'>,
  url: string,
  lockTimeoutMs: number,
  onWait: (message: string) => void,
): DdlOptions {
  return {
    ...ddlDefaults,
    lockTimeoutMs,
    signal,
    onWait,
    observe: () => connect(url, 'observe', '-c statement_timeout=5s'),
  };
}

/** Opens an owner's session on one of the databases, as soon as it is up. */
export async function openOwner(context: CommandContext, database: 'target' | 'legacy'): Promise<pg.Client> {
  const { config, log, signal } = context;
  const url = database === 'target' ? config.targetOwnerUrl() : config.legacyOwnerUrl();
  const options = database === 'target' ? '' : sourceOptions;
  const client = await untilUp(`${database} database ${addressOf(url)}`, () => connect(url, 'migrate', options), {
    log,
    signal,
  });
  // Lets the server notice a client that is gone; some platforms do not support it.
  await client.query(`SET client_connection_check_interval = '1s'`).catch(() => undefined);
  if (database === 'target') await tellAdminEmail(client, config);
  return client;
}

/** Passes the administrator's address, if set, to the session's migrations. */
export async function tellAdminEmail(client: pg.ClientBase, { adminEmail }: Pick<Config, 'adminEmail'>): Promise<void> {
  if (adminEmail !== null) await client.query(`SELECT set_config('crosswalk.admin_email', $1, false)`, [adminEmail]);
}

/** Opens both owners' sessions and closes them afterwards. Messages go to standard output, or are dropped if the output is for a machine. */
export async function withRun<T>(
  context: CommandContext,
  options: PhaseOptions,
  isJson: boolean,
  work: (run: PhaseRun) => Promise<T>,
): Promise<T> {
  const { config } = context;
  const say = (line: string) => (isJson ? undefined : print(line));
  const target = await openOwner(context, 'target');
  try {
    const legacy = await openOwner(context, 'legacy');
    try {
      const urls = { target: config.targetOwnerUrl(), legacy: config.legacyOwnerUrl() };
      return await work({
        context,
        migrations: migrationsOf(context.pipeline),
        target,
        legacy,
        options,
        runId: randomUUID(),
        isJson,
        say,
        ddl: (database) => ddlOptions(context, urls[database], options.lockTimeoutMs, (message) => say(`  ${message}`)),
        entries: () => readEntries(target),
        progress: (label, total) =>
          isJson
            ? { update: () => undefined, close: () => undefined }
            : createProgress({
                label: `  ${label}`,
                total,
                isTerminal: context.isTerminal,
                write: (text) => process.stdout.write(text),
              }),
      });
    } finally {
      await legacy.end().catch(() => undefined);
    }
  } finally {
    await target.end().catch(() => undefined);
  }
}

/** Runs `work` as the only run of phases on this target, with access to the log. */
export async function alone<T>(run: PhaseRun, work: () => Promise<T>): Promise<T> {
  const onWait = (holder: { pid: string; application: string; since: string } | null) =>
    run.say(
      `another run is at work${holder === null ? '' : ` (pid ${holder.pid}, since ${holder.since})`}: waiting for its end`,
    );
  return await holdingLock(run.target, LOCK, { signal: run.context.signal, onWait }, async () => {
    await ensurePhaseLog(run.target);
    return await work();
  });
}
