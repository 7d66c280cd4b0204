import { defineProjection } from '../../../projectors/projection.ts';
import { cellOf, copyOf, toOthers } from '../../../projectors/values/cell.ts';
import { toTellerKey } from '../values/told-tenant.ts';
import { copiedToSubscriber, subscribersAggregate } from './campaigns/subscriber-fold.ts';

const taken: ReadonlySet<string> = new Set(copiedToSubscriber);

/** campaign_subscribers → campaign_subscribers. */
export const campaignSubscribers = defineProjection({
  name: 'campaign_subscribers',
  version: '1',
  source: 'campaign_subscribers',
  requires: ['campaign_id', 'contact_id'],
  reads: copiedToSubscriber,
  owned: [],
  aggregates: [subscribersAggregate],
  map: (row) => {
    const data = {
      ...copyOf(row, copiedToSubscriber),
      source_metadata: toOthers(row, (column) => taken.has(column)),
    };
    const mergeKey = toTellerKey(cellOf(row, 'campaign_id') ?? '');
    return { rows: {}, contributions: [{ aggregate: subscribersAggregate.name, mergeKey, data }] };
  },
});
