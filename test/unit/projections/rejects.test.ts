import { describe, expect, it } from 'vitest';
import { projections } from '../../support/crm.ts';
import { bareRow } from '../../support/legacy-shape.ts';
import { type ListedKind, listedKinds, type RejectKind, rejectKinds } from '../../support/reject-kinds.ts';
import { rejectsOf, tenants } from './mapped.ts';

const nameOf = ({ table, path, reason }: ListedKind) => `${table} ${path}: ${reason}`;

describe('a value without a valid form', () => {
  it('is here in every kind that the contract lists', () => {
    const here = new Set(rejectKinds.map(nameOf));
    expect([...here].sort()).toEqual(listedKinds.map(nameOf).sort());
    expect(here.size).toBeGreaterThanOrEqual(20);
  });

  it.each(rejectKinds)('$table $path $rawValue is a reject until it is corrected', (kind) => {
    const { map } = projections.find(({ source }) => source === kind.table)!;
    const mapped = (cells: RejectKind['cells']) => map(bareRow(kind.table, 0, cells), tenants);
    expect(rejectsOf(mapped(kind.cells))).toEqual([[kind.path, kind.rawValue, kind.reason]]);
    expect(rejectsOf(mapped(kind.corrected))).toEqual([]);
  });
});
