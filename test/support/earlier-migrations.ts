import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { labelOf, type Migration } from '../../schemas/migrations.ts';
import { readMigrations } from './crm.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/migrations-0.1');

/** The migrations of version 0.1, whose program they came with: those that another text has replaced since, in the text of that time. */
export function earlierMigrations(): Migration[] {
  return readMigrations()
    .filter(({ schema, number }) => number <= (schema === 'crosswalk' ? 10 : 14))
    .map((migration) => {
      const file = join(FOLDER, `${labelOf(migration)}.up.sql`);
      if (!existsSync(file)) return migration;
      const up = readFileSync(file, 'utf8');
      return { ...migration, up, checksum: createHash('sha256').update(up).digest('hex') };
    });
}
