/**
 * The full Avro name of a topic's record, by Debezium's rule: characters that Avro does not allow become underscores. A
 * part that begins with a digit gets a leading underscore, since Avro parsers reject it otherwise.
 */
export function toAvroNamespace(topic: string): string {
  return topic
    .split('.')
    .map((part) => toAvroName(part))
    .join('.');
}

/** The fields of one version of a schema: field → column. */
export type FieldVersion = ReadonlyMap<string, string>;

/**
 * The field names of a table's columns, in order and distinct. A name that Avro allows stays; any other is adjusted,
 * and numbered if the adjusted one is taken, so that `a-b` next to `a_b` stays two columns. `earlier`: versions of the
 * schema, oldest first. A column keeps its earlier field, and a field that belonged to another column is never
 * reassigned: a reader that resolves old events into the newest schema would find the other column's cells in it.
 */
export function toFieldNames(columns: readonly string[], earlier: readonly FieldVersion[] = []): string[] {
  const owners = new Map<string, string>();
  const kept = new Map<string, string>();
  for (const version of earlier) for (const [field, column] of version) owners.set(field, column);
  for (const version of earlier)
    for (const [field, column] of version) if (owners.get(field) === column) kept.set(column, field);
  const isNew = (name: string) => !kept.has(name);
  const isFree = (field: string, taken: ReadonlySet<string>) => !taken.has(field) && !owners.has(field);
  const taken = new Set(columns.flatMap((name) => kept.get(name) ?? []));
  for (const name of columns) if (isNew(name) && toAvroName(name) === name && isFree(name, taken)) taken.add(name);
  return columns.map((name) => {
    const field = kept.get(name);
    if (field !== undefined) return field;
    const adjusted = toAvroName(name);
    if (adjusted === name && !owners.has(name)) return name;
    let next = adjusted;
    for (let number = 2; !isFree(next, taken); number++) next = `${adjusted}_${number}`;
    taken.add(next);
    return next;
  });
}

function toAvroName(name: string): string {
  const adjusted = name.replace(/[^A-Za-z0-9_]/g, '_');
  // A record would lose a field named __proto__ when passing through a JavaScript object.
  if (adjusted === '__proto__') return '_proto_';
  return /^[0-9]/.test(adjusted) || adjusted === '' ? `_${adjusted}` : adjusted;
}
