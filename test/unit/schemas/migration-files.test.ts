import { describe, expect, test } from 'vitest';
import { mayLose } from '../../../schemas/losses.ts';
import { isOneTransaction, parseSteps } from '../../../schemas/migration-steps.ts';
import { labelOf } from '../../../schemas/migrations.ts';
import { readMigrations } from '../../support/crm.ts';

const migrations = readMigrations();
/** Tables that hold few rows by nature, for however long they have been there: an index on one of them takes an instant. */
const SMALL = ['crosswalk.parked_change', 'crm.dashboard_stats_data'];

function tablesMadeBy(sql: string): string[] {
  return [...sql.matchAll(/^CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?([a-z_.]+)/gm)].map((match) => match[1]!);
}

describe('steps', () => {
  test('without a mark, a migration is one transaction', () => {
    const steps = parseSteps('CREATE TABLE a (b int);\n-- a comment\n', 'crm/001_a');
    expect(steps).toEqual([{ kind: 'transaction', sql: 'CREATE TABLE a (b int);\n-- a comment\n' }]);
    expect(isOneTransaction(steps)).toBe(true);
    expect(parseSteps('-- nothing\n\n', 'crm/001_a')).toEqual([{ kind: 'transaction', sql: 'SELECT;' }]);
  });

  test('begin where a line says so; what is only a comment is none', () => {
    const steps = parseSteps(
      `-- First words.
-- crosswalk: transaction
ALTER TABLE a ADD b int;
-- crosswalk: concurrently
-- Why.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_b_idx
  ON crm.a (b) WHERE b > 0;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.a_c_idx;
`,
      'crm/002_b',
    );
    expect(steps.map(({ kind }) => kind)).toEqual(['transaction', 'concurrently', 'concurrently']);
    expect(steps[1]).toMatchObject({ index: { schema: 'crm', table: 'a', name: 'a_b_idx' } });
    expect(steps[1]!.sql).toMatch(/^CREATE UNIQUE INDEX/);
    expect(steps[2]).toMatchObject({ index: { schema: 'crm', table: null, name: 'a_c_idx' } });
    expect(isOneTransaction(steps)).toBe(false);
  });

  test.each([
    'CREATE INDEX CONCURRENTLY a_idx ON crm.a (b);',
    'CREATE INDEX CONCURRENTLY IF NOT EXISTS a_idx ON a (b);',
    'CREATE INDEX IF NOT EXISTS a_idx ON crm.a (b);',
    'CREATE INDEX CONCURRENTLY IF NOT EXISTS a_idx ON crm.a (b); DROP TABLE crm.a;',
    'CREATE INDEX CONCURRENTLY IF NOT EXISTS a_idx ON crm.a (b)',
    'DROP INDEX CONCURRENTLY crm.a_idx;',
    'VACUUM crm.a;',
  ])('a concurrent step is refused in any other form: %s', (sql) => {
    expect(() => parseSteps(`-- crosswalk: concurrently\n${sql}\n`, 'crm/002_b')).toThrow(/^Migration crm\/002_b/);
  });
});

describe.each(migrations.map((migration) => [labelOf(migration), migration] as const))('%s', (name, { up, down }) => {
  test('can be split into its steps, up and down', () => {
    expect(parseSteps(up, name).length).toBeGreaterThan(0);
    parseSteps(down, name);
  });

  test('builds indexes in transactions only on tables that it makes itself', () => {
    const made = new Set([...tablesMadeBy(up), ...SMALL]);
    for (const step of parseSteps(up, name)) {
      if (step.kind === 'concurrently') continue;
      const indexed = [...step.sql.matchAll(/^CREATE (?:UNIQUE )?INDEX[^;]*? ON (?:ONLY )?([a-z_.]+)/gm)].map(
        (match) => match[1]!,
      );
      expect(indexed.filter((table) => !made.has(table))).toEqual([]);
    }
  });

  test('adds constraints to tables that were there before without looking at their rows', () => {
    const made = new Set(tablesMadeBy(up));
    for (const step of parseSteps(up, name)) {
      for (const [statement, table] of step.sql.matchAll(
        /^ALTER TABLE (?:ONLY )?([a-z_.]+)[^;]*?ADD CONSTRAINT[^;]*;/gm,
      ))
        if (!made.has(table!) && /\b(CHECK|FOREIGN KEY|REFERENCES)\b/.test(statement))
          expect(statement).toContain('NOT VALID');
      expect(step.sql).not.toMatch(/ALTER COLUMN \S+ SET NOT NULL/);
    }
  });
});

test('a migration may lose something where it drops, deletes, empties or changes a type', () => {
  for (const sql of [
    'drop table a',
    'TRUNCATE a',
    'WITH x AS (DELETE\n FROM a RETURNING 1) SELECT',
    'MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE',
    'ALTER TABLE a\n  ALTER COLUMN b TYPE int USING b::int',
    'ALTER TABLE a ALTER b SET DATA TYPE int',
  ])
    expect(`${sql} ${mayLose(sql)}`).toBe(`${sql} true`);
  for (const sql of [
    'CREATE TABLE a (b int REFERENCES c ON DELETE CASCADE)',
    'GRANT SELECT, DELETE ON a TO b',
    'ALTER TABLE a ADD b text; CREATE TYPE c AS ENUM ()',
    'UPDATE a SET b = 1',
  ])
    expect(`${sql} ${mayLose(sql)}`).toBe(`${sql} false`);
});
