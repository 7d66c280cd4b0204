import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';

/** The phases of a migration, in order. */
export const phaseNames = ['prepare', 'backup', 'schema', 'capture', 'load', 'verify', 'opt-in'] as const;
export type PhaseName = (typeof phaseNames)[number];

export type LogAction = 'run' | 'rollback' | 'down' | 'backup taken' | 'backup verified';
export type LogVerdict = 'begun' | 'done' | 'no-go' | 'failed';

/** A new log entry. `before` and `after` are counts, or the state that a rollback returns to. */
export interface NewEntry {
  readonly runId: string;
  readonly phase: PhaseName;
  readonly action: LogAction;
  readonly verdict: LogVerdict;
  readonly before?: unknown;
  readonly after?: unknown;
  readonly detail?: unknown;
  readonly reason?: string;
}

/** An entry of crosswalk.phase_log; `at` in UTC. */
export interface LogEntry extends Required<Omit<NewEntry, 'reason'>> {
  readonly id: string;
  readonly at: string;
  readonly role: string;
  readonly operator: string;
  readonly reason: string | null;
}

const DDL = join(import.meta.dirname, 'crosswalk/006_phases.up.sql');

/** The statements that create the log if missing: its migration is idempotent. */
export function phaseLogSql(): string {
  return readFileSync(DDL, 'utf8');
}

/** Creates the log and its schema if missing. */
export async function ensurePhaseLog(client: pg.ClientBase): Promise<void> {
  if (await hasPhaseLog(client)) return;
  const { rows } = await client.query<{ found: string | null }>(`SELECT to_regnamespace('crosswalk')::text AS found`);
  await client.query(`${rows[0]!.found === null ? 'CREATE SCHEMA IF NOT EXISTS crosswalk;\n' : ''}${phaseLogSql()}`);
}

export async function hasPhaseLog(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ found: string | null }>(
    `SELECT to_regclass('crosswalk.phase_log')::text AS found`,
  );
  return rows[0]!.found !== null;
}

/** Adds an entry; it is committed when this resolves, unless the caller has opened a transaction. */
export async function appendEntry(client: pg.ClientBase, entry: NewEntry): Promise<void> {
  const json = (value: unknown) => (value === undefined ? null : JSON.stringify(value));
  await client.query(
    `INSERT INTO crosswalk.phase_log (run_id, operator, phase, action, verdict, before, after, detail, reason)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      ...[entry.runId, toOperator(), entry.phase, entry.action, entry.verdict],
      ...[json(entry.before), json(entry.after), json(entry.detail ?? {}), entry.reason ?? null],
    ],
  );
}

/** All entries, oldest first; empty if there is no log. */
export async function readEntries(client: pg.ClientBase): Promise<LogEntry[]> {
  if (!(await hasPhaseLog(client))) return [];
  const { rows } = await client.query<Record<keyof LogEntry, string | null>>(
    `SELECT id::text, run_id::text AS "runId", to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at, role, operator, phase, action, verdict,
       before::text, after::text, detail::text, reason FROM crosswalk.phase_log l ORDER BY l.id`,
  );
  const parse = (text: string | null): unknown => (text === null ? null : JSON.parse(text));
  return rows.map((row) => ({
    ...(row as unknown as LogEntry),
    before: parse(row.before),
    after: parse(row.after),
    detail: parse(row.detail),
  }));
}

function toOperator(): string {
  let account = 'unknown';
  try {
    account = userInfo().username;
  } catch {
    // The user of a container may have no name.
  }
  return `${account}@${hostname()}`;
}
