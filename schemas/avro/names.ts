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

/**
 * The field names of a table's columns, in order and distinct. A name Avro allows stays; any other is adjusted, and
 * numbered where the adjusted one is taken, so that `a-b` beside `a_b` stays two columns.
 */
export function toFieldNames(columns: readonly string[]): string[] {
  const taken = new Set(columns.filter((name) => toAvroName(name) === name));
  return columns.map((name) => {
    const adjusted = toAvroName(name);
    if (adjusted === name) return name;
    let field = adjusted;
    for (let number = 2; taken.has(field); number++) field = `${adjusted}_${number}`;
    taken.add(field);
    return field;
  });
}

function toAvroName(name: string): string {
  const adjusted = name.replace(/[^A-Za-z0-9_]/g, '_');
  // A record with a field named __proto__ would lose it on the way through a JavaScript object.
  if (adjusted === '__proto__') return '_proto_';
  return /^[0-9]/.test(adjusted) || adjusted === '' ? `_${adjusted}` : adjusted;
}
