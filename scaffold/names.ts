// Converts names of a legacy database into names of TypeScript, SQL and files. No input is trusted: a name may contain quotes, line ends and the end of
// a comment.

/** Control characters, line separators that end a line of JavaScript even in a comment, and invisible or direction-changing characters. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const escapeUnprintable = (text: string) =>
  text.replace(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);

/** A text as a TypeScript literal in single quotes. */
export function toTsText(text: string): string {
  return `'${escapeUnprintable(text.replaceAll('\\', '\\\\').replaceAll("'", "\\'"))}'`;
}

/** A text for a TypeScript or SQL comment: one line, and no end of the comment. */
export function toCommentText(text: string): string {
  return escapeUnprintable(text).replaceAll('*/', '*\\/');
}

const IDENTIFIER = /^[A-Za-z_$][A-Za-z0-9_$]*$/;

/** A name as a property of a type or an object, quoted if necessary. Any name is valid. */
export function toProperty(name: string): string {
  return IDENTIFIER.test(name) && name !== '__proto__' ? name : toTsText(name);
}

/** Access to a property of `object`. */
export function toAccess(object: string, name: string): string {
  return IDENTIFIER.test(name) ? `${object}.${name}` : `${object}[${toTsText(name)}]`;
}

/** Words of letters and digits. A capital starts a word, as does any character after a separator: `orderID2` is three words. */
function toWords(name: string): string[] {
  return name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '');
}

/** Returns `name`, or the first free one of `name_2`, `name_3`, …, and marks it as taken. */
export function toUnique(name: string, taken: Set<string>, separator = '_'): string {
  let unique = name;
  for (let number = 2; taken.has(unique); number++) unique = `${name}${separator}${number}`;
  taken.add(unique);
  return unique;
}

const MAX_TABLE_NAME = 38;
const MAX_COLUMN_NAME = 55;

/** A name for a table and its projection: lower-case ASCII letters, digits and _, starting with a letter. */
export function toTableName(name: string): string {
  const plain = toWords(name).join('_').toLowerCase();
  const short = (/^[a-z]/.test(plain) ? plain : `table_${plain}`).slice(0, MAX_TABLE_NAME);
  return short.replace(/_+$/, '');
}

/** A name for a column of a new table: unchanged if it is lower-case and needs no quotes; otherwise its words joined by _. */
export function toColumnName(name: string): string {
  if (/^[a-z_][a-z0-9_]*$/.test(name) && name !== '__proto__') return name;
  const plain = toWords(name).join('_').toLowerCase();
  const short = (/^[a-z]/.test(plain) ? plain : `column_${plain}`).slice(0, MAX_COLUMN_NAME);
  return short.replace(/_+$/, '');
}

/** A file name without its extension. */
export function toFileName(tableName: string): string {
  return tableName.replaceAll('_', '-');
}

/** Names that a TypeScript constant cannot have, or that the generated module imports. */
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
