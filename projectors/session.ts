import type pg from 'pg';
import { connect, createPool } from '../runtime/postgres.ts';

/**
 * Schemas in which a projector's session finds the projected tables and its state. All its SQL uses unqualified names, so only this decides where it writes. A session
 * with any other search path does not find the tables and fails.
 */
export type Namespace = readonly string[];

/** The namespace of the tables that the application reads. */
export function liveNamespace(targetSchema: string): Namespace {
  return [targetSchema, 'crosswalk'];
}

/** Startup options. `pg_temp` comes last, so that temporary tables never hide those of a namespace. */
export function searchPathOption(namespace: Namespace): string {
  return `-c search_path=${[...namespace, 'pg_temp'].join(',')}`;
}

/**
 * Every statement of a projector looks up rows by key, so a plan that reads a whole table is never right; the planner could choose one for a table that has just begun to
 * fill and has no statistics. The timeout limits how long a frozen process can hold its locks.
 */
const OPTIONS =
  '-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off -c idle_in_transaction_session_timeout=15s';

/**
 * For commits that the log can replay: a crash of the server loses the last commits, rows and offsets together, and they are applied again. So no commit waits for the
 * disk. A later commit that does wait for the disk covers these as well.
 */
const REPLAYABLE = '-c synchronous_commit=off';

/** Connections of a projector, at most `max`. `isReplayable`: everything committed on them comes from the log, together with its offset. */
export function createProjectorPool(
  url: string,
  name: string,
  max: number,
  namespace: Namespace,
  { isReplayable = false } = {},
): pg.Pool {
  const options = [OPTIONS, ...(isReplayable ? [REPLAYABLE] : []), searchPathOption(namespace)];
  return createPool(url, name, max, options.join(' '), { isPipelined: true });
}

/** One connection with the options of a projector. The caller ends it. */
export function connectProjector(url: string, name: string, namespace: Namespace): Promise<pg.Client> {
  return connect(url, name, `${OPTIONS} ${searchPathOption(namespace)}`);
}

/** Keys of the advisory lock under which the parked changes of one projection ($1) of the session's namespace are applied. */
export const PARKED_LOCK = `hashtext('crosswalk.parked'), hashtext($1 || CASE WHEN starts_with(current_schema(), 'crosswalk_shadow_') THEN current_schema() ELSE '' END)`;
