import type pg from 'pg';
import { toCrosswalkError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import { addressOf, connect } from '../runtime/postgres.ts';
import { pause } from '../runtime/retry.ts';

/** Pause between two checks: short while a load may end, at most a minute afterwards. */
const LOADING_MS = 2000;
const LONGEST_MS = 60_000;

/** State of the dashboard's figures. */
export interface Figures {
  /** PostgreSQL text, UTC. */
  readonly asOf: string;
  readonly ageSeconds: number;
  readonly tookSeconds: number;
}

/** Reads the age of the figures. Null if they were never refreshed since the load, or if the migration that creates their table is not applied. */
export async function readFigures(client: pg.ClientBase): Promise<Figures | null> {
  const { rows: found } = await client.query<{ there: string | null }>(
    `SELECT to_regclass('crosswalk.upkeep')::text AS there`,
  );
  if (found[0]!.there === null) return null;
  const { rows } = await client.query<{ at: string; age: string; took: string }>(
    `SELECT as_of::text AS at, greatest(extract(epoch FROM clock_timestamp() - as_of), 0)::text AS age, extract(epoch FROM took)::text AS took
     FROM crosswalk.upkeep WHERE task = 'figures'`,
  );
  const row = rows[0];
  return row === undefined ? null : { asOf: row.at, ageSeconds: Number(row.age), tookSeconds: Number(row.took) };
}

/** Upkeep after many rows have come at once, by a load or a rebuild: planner statistics and figures. Waits for another process that is doing it. */
export async function keepUpAfterFilling(client: pg.ClientBase): Promise<void> {
  await client.query('SELECT crosswalk.analyze_adopted()');
  await client.query('SELECT crosswalk.refresh_figures()');
}

/** The same over its own connection. A failure is logged and left to the next run: it makes no row wrong. */
export async function tryToKeepUp(targetUrl: string, { log }: { log: Log }): Promise<void> {
  try {
    const client = await connect(targetUrl, 'upkeep');
    try {
      await keepUpAfterFilling(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  } catch (thrown) {
    const { code, message } = toCrosswalkError(thrown, `target database ${addressOf(targetUrl)}`);
    log.warn({ code }, `the figures of the dashboard are not refreshed: ${message}`);
  }
}

/**
 * Keeps figures and statistics up to date until the signal is aborted: after the initial load, and the figures whenever they are older than `everySeconds` (0: never).
 * Every process asks; the database lets one of them do it. Uses its own connection and never throws: a failure is logged and retried.
 */
export async function keepUp(
  targetUrl: string,
  { everySeconds, log, signal }: { everySeconds: number; log: Log; signal: AbortSignal },
): Promise<void> {
  const every = everySeconds === 0 ? null : `${everySeconds} seconds`;
  const idleMs = everySeconds === 0 ? LONGEST_MS : Math.min(LONGEST_MS, everySeconds * 1000);
  let said = '';
  while (!signal.aborted) {
    let isFilled = true;
    try {
      const { filled, did } = await askOnce(targetUrl, every, signal);
      isFilled = filled;
      said = '';
      if (did !== '{}')
        log.info({ did: did.slice(1, -1).split(',') }, 'refreshed what the application and the planner read');
    } catch (thrown) {
      if (signal.aborted) return;
      const { code, message } = toCrosswalkError(thrown, `target database ${addressOf(targetUrl)}`);
      if (message !== said) log.warn({ code }, `the figures of the dashboard are not refreshed: ${message}`);
      said = message;
    }
    await pause(isFilled ? idleMs : Math.min(LOADING_MS, idleMs), signal);
  }
}

async function askOnce(
  targetUrl: string,
  every: string | null,
  signal: AbortSignal,
): Promise<{ filled: boolean; did: string }> {
  const client = await connect(targetUrl, 'upkeep');
  // A process that ends does not wait for a refresh: the server cancels it or finishes it anyway.
  const cut = () => void client.end().catch(() => undefined);
  signal.addEventListener('abort', cut, { once: true });
  try {
    const { rows } = await client.query<{ filled: string; did: string }>(
      'SELECT is_filled::text AS filled, did::text AS did FROM crosswalk.do_upkeep($1::interval)',
      [every],
    );
    return { filled: rows[0]!.filled === 'true', did: rows[0]!.did };
  } finally {
    signal.removeEventListener('abort', cut);
    await client.end().catch(() => undefined);
  }
}
