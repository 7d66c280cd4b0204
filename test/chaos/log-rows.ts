// The legacy tables against the rows that the log tells in the end: it shows a cell that changed without an event, which no history has.

import { topicOf } from '../../runtime/config.ts';
import { createHistoryClient } from '../oracle/log-history.ts';
import { forEachLogRecord } from '../support/read-log.ts';
import type { TableVerdict } from './judge.ts';
import type { World } from './world.ts';

type Row = Readonly<Record<string, string | null>>;

/** Compares every cell of every captured table; both sides must be at rest. A column that the log lacks is null there. */
export async function judgeLogRows(world: World): Promise<TableVerdict> {
  const { env, legacyUrl } = world.direct;
  const { tables, legacySchema } = world.config;
  const told = new Map(tables.map((table) => [topicOf(world.config, table), new Map<string, Row>()]));
  await forEachLogRecord(
    { kafkaBrokers: env.KAFKA_BROKERS!, registryUrl: env.SCHEMA_REGISTRY_URL! },
    [...told.keys()],
    ({ topic, key, value }) => {
      if (value === null) return;
      if (value.op === 'd') told.get(topic)!.delete(key);
      else told.get(topic)!.set(key, value.after!);
    },
  );
  const client = createHistoryClient(legacyUrl);
  await client.connect();
  const details: string[] = [];
  try {
    for (const table of tables) {
      const left = told.get(topicOf(world.config, table))!;
      // The sample's captured tables all have the key `id`.
      const { rows } = await client.query<Row>(`SELECT * FROM "${legacySchema}"."${table}"`);
      for (const row of rows) {
        const key = JSON.stringify({ id: row.id });
        const found = left.get(key);
        left.delete(key);
        const other = Object.keys(row).filter((column) => row[column] !== (found?.[column] ?? null));
        if (found === undefined) details.push(`${table} ${key}: not in the log`);
        else if (other.length > 0) details.push(`${table} ${key}: the log has other ${other.join(', ')}`);
      }
      for (const key of left.keys()) details.push(`${table} ${key}: only in the log`);
    }
  } finally {
    await client.end();
  }
  return { rowsThatDiffer: details.length, details };
}
