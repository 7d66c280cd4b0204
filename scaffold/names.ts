// Names of a legacy database as names of TypeScript, of SQL and of files. None of them trusts what it is given: a name may hold quotes, line ends and the end of a comment.

/** Controls, characters that end a line of JavaScript even in a comment, and those that nobody sees or that turn the direction of what follows. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const escapeUnprintable = (text: string) =>
  text.replace(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);

/** A text as a literal of TypeScript, in single quotes. */
export function toTsText(text: string): string {
  return `'${escapeUnprintable(text.replaceAll('\\', '\\\\').replaceAll("'", "\\'"))}'`;
}

/** A text for the inside of a comment of TypeScript or SQL: one line, and no end of the comment. */
export function toCommentText(text: string): string {
  return escapeUnprintable(text).replaceAll('*/', '*\\/');
}

const IDENTIFIER = /^[A-Za-z_$][A-Za-z0-9_$]*$/;

/** A name as a property of a type or an object; any name is one, some in quotes. */
export function toProperty(name: string): string {
  return IDENTIFIER.test(name) && name !== '__proto__' ? name : toTsText(name);
}

/** A property of `object`. */
export function toAccess(object: string, name: string): string {
  return IDENTIFIER.test(name) ? `${object}.${name}` : `${object}[${toTsText(name)}]`;
}

/** Words of letters and digits; `orderID2` is three: a capital begins one, as does whatever follows a character that is neither. */
function toWords(name: string): string[] {
  return name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '');
}

/** `name`, or the first of `name_2`, `name_3`, … that is not taken; it is taken from then on. */
export function toUnique(name: string, taken: Set<string>, separator = '_'): string {
  let unique = name;
  for (let number = 2; taken.has(unique); number++) unique = `${name}${separator}${number}`;
  taken.add(unique);
  return unique;
}

const MAX_TABLE_NAME = 38;
const MAX_COLUMN_NAME = 55;

/** A name for a table and its projection: lower-case ASCII letters, digits and _, a letter first. */
export function toTableName(name: string): string {
  const plain = toWords(name).join('_').toLowerCase();
  const short = (/^[a-z]/.test(plain) ? plain : `table_${plain}`).slice(0, MAX_TABLE_NAME);
  return short.replace(/_+$/, '');
}

/** A name for a column of a new table: as it is where it is in lower case, with no need of quotes; others with their words apart. */
export function toColumnName(name: string): string {
  if (/^[a-z_][a-z0-9_]*$/.test(name) && name !== '__proto__') return name;
  const plain = toWords(name).join('_').toLowerCase();
  const short = (/^[a-z]/.test(plain) ? plain : `column_${plain}`).slice(0, MAX_COLUMN_NAME);
  return short.replace(/_+$/, '');
}

/** A name for a file, without its ending. */
export function toFileName(tableName: string): string {
  return tableName.replaceAll('_', '-');
}

/** What a module of TypeScript cannot call a constant, or what the generated one imports. */
const TAKEN = new Set(
  `break case catch class const continue debugger default delete do else enum export extends false finally for function if import in instanceof new null return super switch this
   throw true try typeof var void while with implements interface let package private protected public static yield await async arguments eval undefined globalThis
   defineProjection toTenantId uuid5 row legacy`.split(/\s+/),
);

/** A name for a constant: `bookLoans` of `book_loans`. */
export function toConstantName(tableName: string): string {
  const name = tableName.replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return TAKEN.has(name) ? `${name}Rows` : name;
}

/** A name for the type of a table's rows: `BookLoansRow` of `book_loans`. */
export function toTypeName(tableName: string): string {
  const name = tableName.replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return `${name[0]!.toUpperCase()}${name.slice(1)}Row`;
}
