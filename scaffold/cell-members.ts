import { parseCheckMembers } from './check-members.ts';
import {
  type LegacyCatalog,
  type LegacyColumn,
  type LegacyTable,
  type ResolvedType,
  resolveType,
} from './legacy-table.ts';

const TEXTS = new Set(['text', 'character varying', 'character']);
const INTEGERS = new Set(['smallint', 'integer', 'bigint']);
const TEXT_CASTS = new Set(['text', 'character varying', 'bpchar', 'character']);

/** The texts that a cell may have beside null, if the catalog lists them: members of an enum and of CHECK constraints. Null: any text. */
export function findMembers(
  table: LegacyTable,
  column: LegacyColumn,
  types: LegacyCatalog['types'],
): readonly string[] | null {
  const resolved = resolveType(column, types);
  const lists = [
    ...(resolved.type.kind === 'e' ? [resolved.type.labels] : []),
    ...resolved.checks.map((check) => membersOf(check, 'VALUE', column, resolved)),
    ...table.checks.map((check) => membersOf(check, column.name, column, resolved)),
  ].filter((list) => list !== null);
  if (lists.length === 0) return null;
  const [first, ...others] = lists as [readonly string[], ...(readonly string[])[]];
  const shared = first.filter((member) => others.every((list) => list.includes(member)));
  return shared.length === 0 ? null : shared;
}

/** The cells that a constraint allows. Only for types whose equal values have one text: not numeric, where 1 may be 1.00, and not with a collation that treats A and a as equal. */
function membersOf(
  definition: string,
  name: string,
  column: LegacyColumn,
  { type, modifier, domains }: ResolvedType,
): readonly string[] | null {
  const check = parseCheckMembers(definition);
  if (check?.column !== name || !column.isDeterministic) return null;
  const own = new Set([type.name, ...domains].map((printed) => printed.replaceAll('"', '')));
  const isText = type.schema === 'pg_catalog' && TEXTS.has(type.name);
  const isInteger = type.schema === 'pg_catalog' && INTEGERS.has(type.name);
  if (!isText && !isInteger && type.kind !== 'e') return null;
  const isKept = (cast: string) => own.has(cast) || TEXT_CASTS.has(cast) || (isInteger && INTEGERS.has(cast));
  if (
    !check.casts.every(isKept) ||
    check.isNumeric !== (isInteger && check.casts.every((cast) => !TEXT_CASTS.has(cast)))
  )
    return null;
  if (isInteger) return check.members.map((member) => String(BigInt(member)));
  if (type.name !== 'character') return check.members;
  // Cells of character(n) are padded with blanks, which comparisons ignore. Without a length they keep the blanks that were written.
  if (modifier < 0) return null;
  return check.members.map((member) => padTo(member.replace(/ +$/, ''), modifier - 4));
}

function padTo(text: string, length: number): string {
  return text + ' '.repeat(Math.max(0, length - [...text].length));
}
