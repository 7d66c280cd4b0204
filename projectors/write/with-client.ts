import type pg from 'pg';

/**
 * Lends a connection of the pool for `work`, and gives it back: closed when `work` throws, because its state is unknown then. A connection that breaks
 * between two queries only fails the next one; unheard, its error would end the process.
 */
export async function withClient<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let lost: Error | undefined;
  const onError = (error: Error) => {
    lost ??= error;
  };
  client.on('error', onError);
  let broken: Error | undefined;
  try {
    return await work(client);
  } catch (error) {
    // What ended the connection, and not what the next query made of it.
    broken = lost ?? (error instanceof Error ? error : new Error(String(error)));
    throw lost ?? error;
  } finally {
    if (broken === undefined) client.off('error', onError);
    client.release(broken);
  }
}
