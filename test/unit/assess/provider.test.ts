import { expect, test } from 'vitest';
import { toPooler, toPoolerRefusal, toProvider } from '../../../assess/provider.ts';

const none = { roles: [], functions: [], settings: [], host: 'db.internal', port: 5432 };

test.each([
  ['self-managed', null, {}],
  ['Amazon RDS', 'role rds_superuser', { roles: ['rds_superuser'] }],
  ['Amazon Aurora', 'function aurora_version', { roles: ['rds_superuser'], functions: ['aurora_version'] }],
  ['Google Cloud SQL', 'role cloudsqlsuperuser', { roles: ['cloudsqlsuperuser'] }],
  ['Google Cloud SQL', 'setting cloudsql.logical_decoding', { settings: ['cloudsql.logical_decoding'] }],
  ['Azure Database', 'role azure_pg_admin', { roles: ['azure_pg_admin'] }],
  ['Neon', 'setting neon.tenant_id', { settings: ['neon.tenant_id'], roles: ['neon_superuser'] }],
  ['Supabase', 'role supabase_admin', { roles: ['supabase_admin'] }],
  // A function of that name is no sign of its own.
  ['self-managed', null, { functions: ['aurora_version'] }],
])('%s is told by its %s', (name, sign, signs) => {
  const provider = toProvider({ ...none, ...signs });
  expect([provider.name, provider.sign]).toEqual([name, sign]);
  for (const line of [provider.decoding, provider.replication('r'), provider.policies('r'), provider.walLimit])
    expect(line).toMatch(/^[^\n]+$/);
});

test.each([
  ['ep-cool-darkness-123456-pooler.eu-central-1.aws.neon.tech', 5432, 'Neon'],
  ['aws-0-eu-central-1.pooler.supabase.com', 5432, 'Supabase'],
  ['db.abcdefgh.supabase.co', 6543, 'Supabase'],
  ['myserver.postgres.database.azure.com', 6432, 'PgBouncer'],
])('%s:%i is a pooler', (host, port, whose) => {
  expect(toPooler({ host, port })?.what).toContain(whose);
});

test.each([
  ['ep-cool-darkness-123456.eu-central-1.aws.neon.tech', 5432],
  ['db.abcdefgh.supabase.co', 5432],
  ['127.0.0.1', 5432],
])('%s:%i is none', (host, port) => {
  expect(toPooler({ host, port })).toBeNull();
});

test('a pooler that knows no options is told as one', () => {
  const error = Object.assign(new Error('unsupported startup parameter: options'), { code: '08P01' });
  expect(toPoolerRefusal(error, 'legacy database db:6432/app')).toMatchObject({
    code: 'config_invalid',
    message: 'legacy database db:6432/app: a pooler answers, and no PostgreSQL',
  });
  expect(toPoolerRefusal(new Error('connect ECONNREFUSED'), 'x')).toBeNull();
});
