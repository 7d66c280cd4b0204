import type pg from 'pg';
import { parseLsn } from '../changes/lsn.ts';
import { MARK_PREFIX } from '../changes/mark.ts';

/**
 * Writes a mark in the legacy database. Returns its LSN, which is behind everything committed before; the mark's own commit carries the log past it,
 * even if the captured tables do not change.
 */
export async function mark(legacy: pg.ClientBase): Promise<bigint> {
  const { rows } = await legacy.query<{ lsn: string }>(`SELECT pg_logical_emit_message(true, $1, '')::text AS lsn`, [
    MARK_PREFIX,
  ]);
  return parseLsn(rows[0]!.lsn);
}
