import type { Oracle } from 'crosswalk';
import type { ShopSettings } from '../tenants.ts';

/** What SQL cannot know by itself: the pinned settings. The row '' stands for every shop that is not listed. */
export const oracle: Oracle<ShopSettings> = {
  sql: ['oracle/oracle.sql'],
  async prepare(scratch, { tenants, configured }) {
    const shops = ['', ...configured];
    await scratch.query('CREATE TABLE oracle_input.tenant (shop text PRIMARY KEY, currency text NOT NULL)');
    await scratch.query('INSERT INTO oracle_input.tenant SELECT * FROM unnest($1::text[], $2::text[])', [
      shops,
      shops.map((shop) => tenants(shop).currency),
    ]);
  },
};
