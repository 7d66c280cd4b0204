import type { PlantedReject } from '../rows/row.ts';
import type { Change } from './change.ts';

/** The planted rejects of the legacy rows, updated with committed changes. */
export interface RejectLedger {
  apply(change: Change): void;
  all(): PlantedReject[];
}

/** A ledger that starts with the rejects that the database already holds. */
export function createRejectLedger(planted: readonly PlantedReject[]): RejectLedger {
  const byRow = new Map<string, PlantedReject[]>();
  const nameOf = (table: string, key: string) => `${table}|${key}`;
  const add = (reject: PlantedReject) => {
    const name = nameOf(reject.table, reject.key);
    byRow.set(name, [...(byRow.get(name) ?? []), reject]);
  };
  const applyUpdate = (table: string, key: string, set: Readonly<Record<string, string | null>>) => {
    const rejects = byRow.get(nameOf(table, key));
    if (rejects === undefined) return;
    byRow.delete(nameOf(table, key));
    for (const reject of rejects) {
      if (!columnsOf(reject).some((column) => column in set)) add({ ...reject, key: set.id ?? key });
    }
  };
  for (const reject of planted) add(reject);
  return {
    apply: (change) => {
      if (change.op === 'delete' && change.by === 'id') {
        for (const key of change.keys) byRow.delete(nameOf(change.table, key));
      }
      if (change.op === 'update' && change.by === 'id') {
        for (const key of change.keys) applyUpdate(change.table, key, change.set);
      }
      if (change.op === 'insert' || change.op === 'update') change.rejects.forEach(add);
    },
    all: () => [...byRow.values()].flat(),
  };
}

/** Legacy columns that a reject depends on: the first part of its path, or two columns where both matter. */
function columnsOf({ path }: PlantedReject): readonly string[] {
  if (path === 'paid_at') return ['paid_at', 'invoice_number'];
  if (path === 'invoice_number') return ['invoice_number', 'total'];
  return [path.split(/[.[]/, 1)[0]!];
}
