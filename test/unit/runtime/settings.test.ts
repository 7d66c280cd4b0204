import { expect, test } from 'vitest';
import { parseConfig } from '../../../runtime/config.ts';

const tables = { sources: ['docs'], targetSchema: 'app', projections: [], tenants: {} };
const parse = (env: Record<string, string>) => parseConfig(env, tables);

test('settings that are absent or empty have their defaults', () => {
  expect(parse({ CROSSWALK_CHUNK_ROWS: '', CROSSWALK_HTTP_HOST: '' })).toMatchObject({
    chunkRows: 1000,
    replicationFactor: -1,
    slot: 'crosswalk',
    tables: ['docs'],
    httpHost: '127.0.0.1',
    onTruncate: 'stop',
    logLevel: 'info',
    adminEmail: null,
  });
});

test('settings are read as what they are', () => {
  const { kafka, ...config } = parse({
    CROSSWALK_CHUNK_ROWS: '50',
    CROSSWALK_REPLICATION_FACTOR: '3',
    CROSSWALK_TABLES: 'docs, tags',
    KAFKA_BROKERS: 'a:9092',
    KAFKA_TLS: '1',
  });
  expect(config).toMatchObject({ chunkRows: 50, replicationFactor: 3, tables: ['docs', 'tags'] });
  expect(kafka()).toMatchObject({ brokers: ['a:9092'], tls: true, client: 'direct' });
});

test.each([
  ['CROSSWALK_CHUNK_ROWS', 'sec-ret', 'must be a whole number from 1 to 100000'],
  ['CROSSWALK_CHUNK_ROWS', '0', 'must be a whole number from 1 to 100000'],
  ['CROSSWALK_CHUNK_ROWS', '1.5', 'must be a whole number from 1 to 100000'],
  ['CROSSWALK_SLOT', 'sec-ret', 'must be lower-case letters, digits and _'],
  ['CROSSWALK_TABLES', 'sec-ret', 'must be table[,table…] of lower-case letters, digits and _'],
  ['KAFKA_TLS', 'sec-ret', 'must be one of true, false, 1, 0'],
  ['KAFKA_SASL_MECHANISM', 'sec-ret', 'must be one of plain, scram-sha-256, scram-sha-512'],
  ['LOG_LEVEL', 'sec-ret', 'must be one of trace, debug, info, warn, error, silent'],
  ['TARGET_ADMIN_EMAIL', 'sec-ret', 'must be an e-mail address'],
])('%s=%s is refused, and what it must be is said without its value', (setting, value, reason) => {
  expect(() => parse({ [setting]: value })).toThrow(`Configuration: ${setting} ${reason}`);
  expect(() => parse({ [setting]: value })).not.toThrow(/sec-ret/);
});

test('every wrong setting is named', () => {
  expect(() => parse({ CROSSWALK_SLOT: 'A', LOG_LEVEL: 'loud' })).toThrow(/CROSSWALK_SLOT .*; LOG_LEVEL /);
});
