import type { HexRow, TextOracle } from './text-oracle.ts';
import type { Expected } from './value-log.ts';

/** What happens to the rows of tables, noted from how they look before and after. */
export interface ValueHistory {
  /** Runs statements that change rows of this table (quoted, with its schema) at most once each. `insertOp`: how the log tells of new rows. */
  change(table: string, insertOp: 'r' | 'c', statements: readonly string[]): Promise<void>;
  rows(table: string): ReadonlyMap<string, HexRow>;
  expected(table: string): ReadonlyMap<string, readonly Expected[]>;
}

export function createHistory(oracle: TextOracle): ValueHistory {
  const histories = new Map<string, Map<string, Expected[]>>();
  const states = new Map<string, ReadonlyMap<string, HexRow>>();
  return {
    async change(table, insertOp, statements) {
      for (const statement of statements) await oracle.client.query(statement);
      const before = states.get(table) ?? new Map<string, HexRow>();
      const after = await oracle.read(table);
      states.set(table, after);
      const history = histories.get(table) ?? new Map<string, Expected[]>();
      histories.set(table, history);
      for (const id of new Set([...before.keys(), ...after.keys()])) {
        const [old, now] = [before.get(id) ?? null, after.get(id) ?? null];
        if (JSON.stringify(old) === JSON.stringify(now)) continue;
        const op = old === null ? insertOp : now === null ? 'd' : 'u';
        history.set(id, [...(history.get(id) ?? []), { op, before: old, after: now }]);
      }
    },
    rows: (table) => states.get(table) ?? new Map(),
    expected: (table) => histories.get(table) ?? new Map(),
  };
}
