import { describe, expect, it } from 'vitest';
import { toColumnChecks } from '../../../monitor/column-checks.ts';
import type { Projection } from '../../../projectors/projection.ts';
import { allProjections } from '../../support/crm.ts';
import { signups } from '../../support/two-sources.ts';

const reading = (requires: string[], reads = requires): Projection => ({ ...signups, requires, reads });
const checks = (projections: Projection[], signupColumns: string[]) =>
  toColumnChecks(projections, { signups: signupColumns, other: [] }).map(({ state, what }) => `${state} ${what}`);

describe('columns of legacy tables', () => {
  it('that are all there, and all named, are fine', () => {
    expect(checks([reading(['id'], ['id', 'name'])], ['id', 'name'])).toEqual([expect.stringMatching(/^ok /)]);
  });

  it('that are not there are a note, unless a projection requires them', () => {
    expect(checks([reading(['id'], ['id', 'name', 'phone'])], ['id'])).toEqual([
      expect.stringMatching(/^note Legacy table signups lacks name, phone: /),
    ]);
    expect(checks([reading(['id', 'name'], ['id', 'name', 'phone'])], ['id'])).toEqual([
      expect.stringMatching(/^failing Legacy table signups lacks name, which a projection requires/),
      expect.stringMatching(/^note Legacy table signups lacks phone: /),
    ]);
  });

  it('that no rule of any projection names are a note', () => {
    const both = [reading(['id']), { ...reading(['id'], ['id', 'name']), name: 'history' }];
    expect(checks(both, ['id', 'name', 'spouse', 'city'])).toEqual([
      expect.stringMatching(/^note Legacy table signups has spouse, city, which no rule names/),
    ]);
  });

  it('of tables that are not captured are not spoken of', () => {
    expect(toColumnChecks(allProjections, {})).toMatchObject([{ state: 'ok' }]);
  });
});
