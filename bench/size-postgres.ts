import { totalmem } from 'node:os';
import type { Stack } from '../infra/stack/stack.ts';
import { connect } from '../runtime/postgres.ts';

/** Gives PostgreSQL the memory that a server of this size gives it: a quarter of the machine's, at most 4 GiB, and WAL that is checkpointed by time rather than by size. Restarts it. */
export async function sizePostgres({ adminUrl, servers }: Stack): Promise<void> {
  if (adminUrl === undefined || servers.postgres === undefined) return;
  const sharedMiB = Math.floor(Math.min(totalmem() / 4, 4 * 1024 ** 3) / 1024 ** 2);
  const admin = await connect(adminUrl, 'bench');
  try {
    await admin.query(`ALTER SYSTEM SET shared_buffers = '${sharedMiB}MB'`);
    await admin.query(`ALTER SYSTEM SET max_wal_size = '16GB'`);
  } finally {
    await admin.end();
  }
  await servers.postgres.stop('SIGTERM');
  await servers.postgres.start();
}
