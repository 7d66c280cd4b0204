/** SQLSTATE class of values that their type refuses. */
const isNoValue = (error: unknown) => String((error as { code?: unknown }).code ?? '').startsWith('22');

/**
 * Runs `work` on all items at once. If PostgreSQL refuses a value, retries with halves until the refused items are single, and calls `onRefused` for
 * each. `work` must not be in a transaction.
 */
export async function isolating<T>(
  items: readonly T[],
  work: (items: readonly T[]) => Promise<void>,
  onRefused: (item: T) => void,
): Promise<void> {
  if (items.length === 0) return;
  try {
    await work(items);
  } catch (error) {
    if (!isNoValue(error)) throw error;
    if (items.length === 1) {
      onRefused(items[0]!);
      return;
    }
    const middle = items.length >> 1;
    await isolating(items.slice(0, middle), work, onRefused);
    await isolating(items.slice(middle), work, onRefused);
  }
}
