import { quoteIdent, quoteLiteral } from '../schemas/quote.ts';
import { toCommentText } from './names.ts';
import type { TargetTable } from './target-table.ts';

/** A name in SQL, quoted only if necessary. */
export function toSqlName(name: string, keywords: ReadonlySet<string>): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !keywords.has(name) ? name : quoteIdent(name);
}

export interface MigrationText {
  readonly up: string;
  readonly down: string;
}

/** SQL that creates a new table, and SQL that drops it. `from`: the legacy table, for a comment. */
export function toMigrationText(
  target: TargetTable,
  schema: string,
  from: string,
  keywords: ReadonlySet<string>,
): MigrationText {
  const nameOf = (name: string) => toSqlName(name, keywords);
  const table = `${nameOf(schema)}.${nameOf(target.name)}`;
  const newId = target.id.type === 'uuid' ? ' DEFAULT gen_random_uuid()' : '';
  const columns = [
    `id ${target.id.type} PRIMARY KEY${newId}`,
    'tenant_id text NOT NULL',
    ...target.copied.map(({ name, type, notNull }) => `${nameOf(name)} ${type}${notNull ? ' NOT NULL' : ''}`),
    'deleted_at timestamptz',
  ];
  return {
    up: [
      `-- A copy of ${toCommentText(JSON.stringify(from))}. Change it before it is applied: afterwards, a change is a migration of its own.`,
      `CREATE TABLE ${table} (`,
      columns.map((column) => `  ${column}`).join(',\n'),
      ');',
      '',
      '-- The columns that say where a row came from, the rights of the roles, and whose rows a session sees, from stage 0 on.',
      `SELECT crosswalk.adopt(${quoteLiteral(table)}, 0);`,
      '',
    ].join('\n'),
    down: `DROP TABLE ${table};\n`,
  };
}
