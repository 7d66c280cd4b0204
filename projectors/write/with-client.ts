import type pg from 'pg';

/**
 * Lends a connection of the pool to `work` and returns it; if `work` throws, it is closed, because its state is unknown. A connection that breaks between two queries
 * only fails the next one: without the listener its error event would end the process.
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
    // The error that ended the connection, not the resulting error of the next query.
    broken = lost ?? (error instanceof Error ? error : new Error(String(error)));
    throw lost ?? error;
  } finally {
    if (broken === undefined) client.off('error', onError);
    client.release(broken);
  }
}
