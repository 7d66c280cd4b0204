import { describe, expect, it } from 'vitest';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { assertDeclarations } from '../../../projectors/declarations.ts';
import { defineProjection, type Projection } from '../../../projectors/projection.ts';
import { inseparableFrom } from '../../../projectors/rebuild/units.ts';
import { allProjections } from '../../support/crm.ts';
import { people, returns, signups } from '../../support/two-sources.ts';

const owning = (table: string): Projection =>
  defineProjection({
    ...{ name: 'owner', version: '1', source: 'owners', requires: [], reads: [], aggregates: [] },
    owned: [{ table, columns: ['id'], retract: 'delete', scope: { column: 'id', of: (key) => key } }],
    map: () => ({ rows: {}, contributions: [] }),
  });

/** Sign-ups that fold phones, of which others own rows. */
const sharing = (ownedFrom: readonly string[]): Projection => ({
  ...signups,
  aggregates: [{ ...people, targets: people.targets.map((target) => ({ ...target, ownedFrom })) }],
});

describe('projections', () => {
  it('of the tree go together', () => {
    expect(() => assertDeclarations(allProjections)).not.toThrow();
  });

  it('of two legacy tables may feed one aggregate, and are rebuilt together', () => {
    expect(() => assertDeclarations([signups, returns, ...allProjections])).not.toThrow();
    expect(inseparableFrom([signups], [signups, returns])).toEqual(['returns']);
  });

  it('may own rows of a table that is folded, where the fold says from which legacy tables', () => {
    const shared = sharing(['owners']);
    expect(() => assertDeclarations([shared, owning('phones')])).not.toThrow();
    expect(() => assertDeclarations([owning('phones'), shared])).not.toThrow();
    expect(() => assertDeclarations([sharing(['others']), owning('phones')])).toThrow(/phones/);
    expect(() => assertDeclarations([sharing(['signups'])])).toThrow(/signups feeds people/);
  });

  it.each<[string, RegExp, Projection[]]>([
    ['of one legacy table do not both feed it', /both feed people/, [signups, { ...signups, name: 'again' }]],
    [
      'feed the same aggregate, not one of the same name',
      /not one and the same/,
      [signups, { ...returns, aggregates: [{ ...people, fold: () => ({}) }] }],
    ],
    ['own no row of a table that is folded', /phones.* folded by people and as owned/, [signups, owning('phones')]],
    [
      'leave a folded table to one aggregate',
      /customers/,
      [quotes, { ...signups, aggregates: [{ ...people, targets: quotes.aggregates[0]!.targets }] }],
    ],
  ])('%s', (_, message, projections) => {
    expect(() => assertDeclarations(projections)).toThrow(message);
  });
});
