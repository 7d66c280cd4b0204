import type pg from 'pg';
import { CrosswalkError } from '../runtime/errors.ts';
import { findShortcomings } from './source-requirements.ts';
import { type CaptureOptions, readSource } from './source-state.ts';

/**
 * The statements that only an owner of the legacy tables can run and that are still missing: replica identity, publication. None of them
 * rewrites a table or blocks readers; each ALTER TABLE takes its lock for an instant. Throws what an owner's SQL alone does not mend.
 */
export async function planSourceSetup(client: pg.ClientBase, options: CaptureOptions): Promise<string[]> {
  const found = findShortcomings(await readSource(client, options), options);
  // Tables with such columns must not be set up at all: PostgreSQL would refuse their updates from then on.
  const refused = found.find(({ code, sql }) => sql.length === 0 && code !== 'wal_level');
  if (refused !== undefined) throw new CrosswalkError(refused.failure, refused.what);
  return found.flatMap(({ sql }) => sql);
}
