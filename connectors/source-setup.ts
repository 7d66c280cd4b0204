import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { findShortcomings } from './source-requirements.ts';
import { type CaptureOptions, readSource } from './source-state.ts';

/**
 * The missing statements that only an owner of the legacy tables can run: replica identity, publication. None of them
 * rewrites a table or blocks readers; each ALTER TABLE holds its lock only briefly. Throws shortcomings that an owner's
 * SQL alone cannot fix.
 */
export async function planSourceSetup(client: pg.ClientBase, options: CaptureOptions): Promise<string[]> {
  const found = findShortcomings(await readSource(client, options), options);
  // Tables with such columns must not be set up at all: PostgreSQL would refuse their updates from then on.
  const refused = found.find(({ code, sql }) => sql.length === 0 && code !== 'wal_level');
  if (refused !== undefined) throw new CrosswalkError(refused.failure, refused.what);
  return found.flatMap(({ sql }) => sql);
}
