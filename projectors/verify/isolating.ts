/** SQLSTATE class of data that has no form in its type. */
const isNoValue = (error: unknown) => String((error as { code?: unknown }).code ?? '').startsWith('22');

/**
 * Runs `work` on all items at once; where PostgreSQL refuses a value, on halves, until the refused items stand alone: `onRefused` is told of each. `work` must not be in a transaction.
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
