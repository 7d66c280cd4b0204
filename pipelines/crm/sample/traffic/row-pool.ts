import type { Random } from '../random.ts';

/** Rows by id, with random picks. */
export interface RowPool<T extends { id: string }> {
  size(): number;
  add(row: T): void;
  /** Removes and returns the row; undefined if it does not exist. */
  remove(id: string): T | undefined;
  /** A random row; undefined if the pool is empty. */
  pick(random: Random): T | undefined;
  /** Up to `count` distinct random rows. */
  pickMany(random: Random, count: number): T[];
}

/** An empty pool. */
export function createRowPool<T extends { id: string }>(): RowPool<T> {
  const rows: T[] = [];
  const places = new Map<string, number>();
  return {
    size: () => rows.length,
    add: (row) => {
      places.set(row.id, rows.length);
      rows.push(row);
    },
    remove: (id) => {
      const place = places.get(id);
      if (place === undefined) return undefined;
      const row = rows[place]!;
      const last = rows.pop()!;
      places.delete(id);
      if (last.id !== id) {
        rows[place] = last;
        places.set(last.id, place);
      }
      return row;
    },
    pick: (random) => (rows.length === 0 ? undefined : random.pick(rows)),
    pickMany: (random, count) => {
      if (rows.length === 0) return [];
      const start = random.int(0, rows.length - 1);
      return Array.from({ length: Math.min(count, rows.length) }, (_, i) => rows[(start + i) % rows.length]!);
    },
  };
}
