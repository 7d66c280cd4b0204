import { createChangeDecoder } from '../../../projectors/decode.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { topicOf } from '../../../runtime/config.ts';
import { createDecoder, createKeyDecoder, type DecodedValue, type TextRow } from '../../../schemas/avro/decode.ts';
import { createRegistry } from '../../../schemas/avro/registry.ts';
import { schemaIdOf } from '../../../schemas/avro/wire.ts';
import type { ConnectorRig } from '../../support/connector.ts';
import { readCommitted } from '../../support/read-log.ts';
import { stackAddresses } from '../../support/stack.ts';
import type { HexRow } from './text-oracle.ts';

/** What happened to a row: the event that the log must hold for it. */
export interface Expected {
  readonly op: DecodedValue['op'];
  readonly before: HexRow | null;
  readonly after: HexRow | null;
}

/** An event of the log, as two readers see it: the codec, and a projector. */
export interface ValueEvent extends Pick<DecodedValue, 'op' | 'before' | 'after'> {
  readonly table: string;
  readonly key: TextRow;
  readonly projected: TextRow | null;
}

/** Every committed event of the rig's tables, in the order of each key. A projector that requires all columns must find them. */
export async function readValueEvents(
  rig: ConnectorRig,
  columns: ReadonlyMap<string, readonly string[]>,
): Promise<ValueEvent[]> {
  const { kafkaBrokers, registryUrl } = stackAddresses();
  const registry = createRegistry({ baseUrl: registryUrl });
  try {
    const tables = new Map(rig.config.tables.map((table) => [topicOf(rig.config, table), table]));
    const decoders = new Map<number, ReturnType<typeof createDecoder>>();
    const keyDecoders = new Map<number, ReturnType<typeof createKeyDecoder>>();
    const projectors = new Map(
      rig.config.tables.map((table) => {
        const projection = { name: 'values', source: table, requires: columns.get(table)! };
        return [table, createChangeDecoder(projection as unknown as Projection, registry)];
      }),
    );
    const events: ValueEvent[] = [];
    for (const { topic, partition, message } of await readCommitted(kafkaBrokers, [...tables.keys()])) {
      const { key, value } = message;
      if (value === null) continue;
      const table = tables.get(topic)!;
      const [keyId, valueId] = [schemaIdOf(key!), schemaIdOf(value)];
      if (!decoders.has(valueId)) decoders.set(valueId, createDecoder(await registry.schemaById(valueId)));
      if (!keyDecoders.has(keyId)) keyDecoders.set(keyId, createKeyDecoder(await registry.schemaById(keyId)));
      const { op, before, after } = decoders.get(valueId)!.decode(value);
      const offset = BigInt(message.offset);
      const [change] = await projectors.get(table)!.decode(topic, partition, [{ offset, key, value }]);
      events.push({
        table,
        op,
        before,
        after,
        key: keyDecoders.get(keyId)!.decode(key!),
        projected: change!.after,
      });
    }
    return events;
  } finally {
    registry.close();
  }
}

/** Where the events of one table are not what happened to its rows, cell by cell; empty when they are the same. */
export function findValueFaults(
  events: readonly ValueEvent[],
  table: string,
  expected: ReadonlyMap<string, readonly Expected[]>,
): string[] {
  const faults: string[] = [];
  const found = new Map<string, ValueEvent[]>();
  for (const event of events) {
    if (event.table !== table) continue;
    const id = (event.after ?? event.before)?.id ?? 'none';
    found.set(id, [...(found.get(id) ?? []), event]);
  }
  for (const id of new Set([...expected.keys(), ...found.keys()])) {
    const wanted = expected.get(id) ?? [];
    const given = found.get(id) ?? [];
    const where = `${table} ${id}`;
    const ops = [wanted, given].map((list) => list.map(({ op }) => op).join(''));
    if (ops[0] !== ops[1]) faults.push(`${where}: the log has ${ops[1]}, not ${ops[0]}`);
    else
      for (const [index, event] of given.entries()) {
        const { op, before, after } = wanted[index]!;
        faults.push(
          ...findRowFaults(`${where} ${op} before`, before, event.before),
          ...findRowFaults(`${where} ${op} after`, after, event.after),
          ...findRowFaults(`${where} ${op} projected`, after, event.projected),
          ...findRowFaults(`${where} ${op} key`, (after ?? before)!, event.key, Object.keys(event.key)),
        );
      }
  }
  return faults;
}

function findRowFaults(
  where: string,
  expected: HexRow | null,
  found: TextRow | null,
  columns = Object.keys(expected ?? {}),
): string[] {
  if (expected === null || found === null)
    return expected === null && found === null ? [] : [`${where}: ${found === null ? 'no row' : 'a row'}`];
  const extra = Object.keys(found).filter((name) => !columns.includes(name));
  const wrong = columns.filter((name) => {
    const text = found[name];
    const hex = typeof text === 'string' ? Buffer.from(text).toString('hex') : text;
    return hex !== expected[name];
  });
  return [
    ...extra.map((name) => `${where}: a column "${name}" that the table does not have`),
    ...wrong.map((name) => `${where} "${name}": ${show(found[name])}, not ${show(fromHex(expected[name]!))}`),
  ];
}

function fromHex(hex: string | null): string | null {
  return hex === null ? null : Buffer.from(hex, 'hex').toString();
}

function show(text: string | null | undefined): string {
  return text === undefined ? 'nothing' : (JSON.stringify(text)?.slice(0, 80) ?? '');
}
