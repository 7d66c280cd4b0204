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
      const { rows: keys } = await client.query<{ name: string }>(
        `SELECT a.attname AS name FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
         WHERE i.indrelid = $1::regclass AND i.indisprimary ORDER BY k.position`,
        [`"${legacySchema}"."${table}"`],
      );
      const { rows } = await client.query<Row>(`SELECT * FROM "${legacySchema}"."${table}"`);
      for (const row of rows) {
        const key = JSON.stringify(Object.fromEntries(keys.map(({ name }) => [name, row[name]])));
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
