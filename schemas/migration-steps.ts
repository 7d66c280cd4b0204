import { CrosswalkError } from '../runtime/errors.ts';

/**
 * A part of a migration. `transaction`: its statements run in one transaction. `concurrently`: one CREATE or DROP INDEX
 * CONCURRENTLY, which PostgreSQL only runs outside of a transaction.
 */
export type MigrationStep =
  | { readonly kind: 'transaction'; readonly sql: string }
  | { readonly kind: 'concurrently'; readonly sql: string; readonly index: ConcurrentIndex };

/** The index that a concurrent step builds or drops. `table` null: it is dropped. */
export interface ConcurrentIndex {
  readonly schema: string;
  readonly name: string;
  readonly table: string | null;
}

const MARKER = /^-- crosswalk: (concurrently|transaction)[ \t]*$/m;
const NAME = '([a-z_][a-z0-9_]*)';
const CREATE = new RegExp(
  `^CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS ${NAME}\\s+ON ${NAME}\\.${NAME}\\s[^;]*;$`,
);
const DROP = new RegExp(`^DROP INDEX CONCURRENTLY IF EXISTS ${NAME}\\.${NAME}\\s*;$`);

/**
 * Splits the text of a migration at lines `-- crosswalk: concurrently` or `-- crosswalk: transaction`; without them it
 * is a single transaction, even if it holds no statement. If there are several steps, each must be idempotent: after a
 * killed run they start over. Throws `migration_failed` for a malformed concurrent step.
 */
export function parseSteps(sql: string, name: string): MigrationStep[] {
  const [first, ...rest] = sql.split(MARKER);
  const steps: MigrationStep[] = isBlank(first!) ? [] : [{ kind: 'transaction', sql: first! }];
  for (let at = 0; at < rest.length; at += 2) {
    const text = rest[at + 1]!;
    if (isBlank(text)) continue;
    steps.push(
      rest[at] === 'transaction'
        ? { kind: 'transaction', sql: text }
        : { kind: 'concurrently', sql: withoutComments(text), index: parseIndex(withoutComments(text), name) },
    );
  }
  return steps.length > 0 ? steps : [{ kind: 'transaction', sql: 'SELECT;' }];
}

/** Whether the whole migration, including its mark, is one transaction. */
export function isOneTransaction(steps: readonly MigrationStep[]): boolean {
  return steps.length <= 1 && steps.every(({ kind }) => kind === 'transaction');
}

function parseIndex(statement: string, name: string): ConcurrentIndex {
  const created = CREATE.exec(statement);
  if (created !== null) return { name: created[1]!, schema: created[2]!, table: created[3]! };
  const dropped = DROP.exec(statement);
  if (dropped !== null) return { schema: dropped[1]!, name: dropped[2]!, table: null };
  throw new CrosswalkError(
    'migration_failed.concurrent_step',
    `Migration ${name}: a concurrent step is one statement, CREATE [UNIQUE] INDEX CONCURRENTLY IF NOT EXISTS name ON schema.table …; or DROP INDEX CONCURRENTLY IF EXISTS schema.name;`,
  );
}

function withoutComments(sql: string): string {
  return sql.replaceAll(/^\s*--.*$/gm, '').trim();
}

function isBlank(sql: string): boolean {
  return withoutComments(sql) === '';
}
