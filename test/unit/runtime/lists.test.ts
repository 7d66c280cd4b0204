// What is named twice is meant once.

import { describe, expect, it } from 'vitest';
import { chooseProjections } from '../../../cli/commands/project.ts';
import { toSelection } from '../../../cli/commands/snapshot.ts';
import { topicSpecs } from '../../../connectors/topics.ts';
import { allProjections, parseConfig } from '../../support/crm.ts';

describe('lists are sets', () => {
  it('of tables', () => {
    const config = parseConfig({ CROSSWALK_TABLES: 'quotes,contacts,quotes,contacts' });
    expect(config.tables).toEqual(['quotes', 'contacts']);
    const topics = topicSpecs(config).map(({ topic }) => topic);
    expect(new Set(topics).size).toBe(topics.length);
  });
  it('of projections', () => {
    expect(chooseProjections(allProjections, ['quotes', 'contacts', 'quotes']).map(({ name }) => name)).toEqual([
      'quotes',
      'contacts',
    ]);
  });
  it('of keys, however they are spelled', () => {
    const columns = ['a', 'b'].map((name) => ({ name, typeOid: 25, typeName: 'text', typeModifier: -1 }));
    const relation = { oid: 1, schema: 'public', table: 't', key: ['a', 'b'], columns };
    const key = ['["1","2"]', '["2","1"]', '[ "1", "2" ]'];
    expect(toSelection(relation, { key }, undefined).keys).toEqual([
      ['1', '2'],
      ['2', '1'],
    ]);
  });
});
