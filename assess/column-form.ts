import { toColumnType } from '../schemas/avro/column-type.ts';
import type { ColumnFacts } from './facts.ts';

/** The form of a column's values in the log. `remark`: anything unexpected about it; null: nothing. */
export interface ColumnForm {
  readonly form: string;
  readonly remark: string | null;
}

/** Peculiarities of built-in types, by oid. */
const REMARKS: Readonly<Record<number, string>> = {
  26: 'an oid may name a large object, whose content is in no log',
  790: 'money travels as text of the locale C, such as $1,234.50',
  1042: 'char(n) keeps its padding of blanks',
  1114: 'no time zone: whose clock it was is not known',
  1186: 'an interval travels as text, such as 1 mon 02:00:00',
  1266: 'an offset and no time zone: what daylight saving makes of it is lost',
};
/** Types whose values are catalog names: regproc, regclass and so on. */
const NAMES = new Set([24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191]);
/** xid, cid, tid, xid8. */
const INTERNAL = new Set([27, 28, 29, 5069]);
const FIRST_OWN_OID = 16_384;

/** The form of a column in the log: the type of its Avro field, and the text inside. */
export function toColumnForm(column: ColumnFacts): ColumnForm {
  return { form: toForm(column.typeOid), remark: toRemark(column) };
}

function toForm(typeOid: number): string {
  const { schema } = toColumnType(typeOid);
  if (typeof schema === 'string') return schema;
  const name = schema['connect.name'];
  return typeof name === 'string' ? `${schema.type} (${name.split('.').at(-1)})` : schema.type;
}

function toRemark({ typeOid, kind, isArray, generated }: ColumnFacts): string | null {
  if (generated === 'virtual') return 'computed when read: it is in no log';
  if (generated === 'stored') return 'computed: its values are captured on PostgreSQL 18 and later alone';
  if (isArray) return 'an array travels as the text of PostgreSQL, such as {a,b}';
  if (kind === 'e') return 'a renamed label sends no change: `crosswalk resnapshot` reads the rows again';
  if (kind === 'd') return 'a domain travels as text, whatever it is made of';
  if (kind === 'c') return 'a composite travels as the text of PostgreSQL, such as (1,a)';
  if (kind === 'r' || kind === 'm') return 'a range travels as the text of PostgreSQL, such as [1,5)';
  if (NAMES.has(typeOid)) return 'it names an object of the catalog: its text changes where that is renamed';
  if (INTERNAL.has(typeOid)) return 'an internal number of PostgreSQL: it means nothing elsewhere';
  if (typeOid >= FIRST_OWN_OID) return 'a type of an extension travels as its text';
  return REMARKS[typeOid] ?? null;
}
