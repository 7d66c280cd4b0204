import type pg from 'pg';
import { connect, createPool } from '../runtime/postgres.ts';

/**
 * Schemas in which a projector's session finds the projected tables and its state. All its SQL names them without a schema: where it writes is decided
 * here, and by nothing else. Elsewhere they are not found, and the session fails.
 */
export type Namespace = readonly string[];

/** The tables that the application reads. */
export function liveNamespace(targetSchema: string): Namespace {
  return [targetSchema, 'crosswalk'];
}

/** Startup options: temporary tables never stand before those of a namespace. */
export function searchPathOption(namespace: Namespace): string {
  return `-c search_path=${[...namespace, 'pg_temp'].join(',')}`;
}

/**
 * Every statement of a projector looks rows up by key: a plan that reads a whole table is never right, and a table that has just begun to fill, without
 * statistics, invites one. A frozen process must not hold its locks for longer than the server waits here.
 */
const OPTIONS =
  '-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off -c idle_in_transaction_session_timeout=15s';

/**
 * For what the log brings again: a crash of the server takes the last commits back, rows and offsets together, and they are applied once more. So no commit waits for the disk. Whatever is
 * committed later and does wait, waits for these as well.
 */
const REPLAYABLE = '-c synchronous_commit=off';

/** Connections of a projector, at most `max`. `isReplayable`: everything that is committed on them comes from the log, with its offset. */
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

/** One connection as projectors have them. The caller ends it. */
export function connectProjector(url: string, name: string, namespace: Namespace): Promise<pg.Client> {
  return connect(url, name, `${OPTIONS} ${searchPathOption(namespace)}`);
}

/** Keys of the advisory lock under which the parked changes of one projection ($1) of the session's namespace are applied. */
export const PARKED_LOCK = `hashtext('crosswalk.parked'), hashtext($1 || CASE WHEN starts_with(current_schema(), 'crosswalk_shadow_') THEN current_schema() ELSE '' END)`;
