import { randomBytes } from 'node:crypto';
import type pg from 'pg';

/** A login of its own that is a member of one role and nothing else. It belongs to the server: the caller drops it. */
export async function createLogin(
  owner: pg.ClientBase,
  databaseUrl: string,
  memberOf: string,
): Promise<{ url: string; name: string; drop(): Promise<void> }> {
  const name = `login_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  await owner.query(`CREATE ROLE ${name} LOGIN PASSWORD '${password}' IN ROLE ${memberOf}`);
  const url = new URL(databaseUrl);
  url.username = name;
  url.password = password;
  return { url: url.href, name, drop: async () => void (await owner.query(`DROP ROLE ${name}`)) };
}
