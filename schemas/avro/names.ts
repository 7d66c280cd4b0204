/**
 * A full Avro name of a topic's record, by Debezium's rule: whatever Avro does not allow becomes an underscore.
 * A part that begins with a digit gets one in front, since Avro's parsers refuse it otherwise.
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
 * The field names of a table's columns, in order and distinct. A name Avro allows stays; any other is adjusted, and numbered where the adjusted one is taken, so that `a-b` beside
 * `a_b` stays two columns. `earlier`: versions of the schema, oldest first. A column keeps the field it has had, and a field that another column has had is never given away: to a
 * reader that resolves old events into the newest schema it would still hold the other column's cells.
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
  // A record with a field named __proto__ would lose it on the way through a JavaScript object.
  if (adjusted === '__proto__') return '_proto_';
  return /^[0-9]/.test(adjusted) || adjusted === '' ? `_${adjusted}` : adjusted;
}
