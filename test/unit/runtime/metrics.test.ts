import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { createConnectorStatus } from '../../../connectors/status.ts';
import { registerConnectorMetrics, registerProjectorMetrics, registerVerifyMetrics } from '../../../monitor/metrics.ts';
import { createProjectionStatus } from '../../../projectors/status.ts';
import { createVerifyStatus } from '../../../projectors/verify/status.ts';

async function valuesOf(registry: Registry, name: string): Promise<unknown[]> {
  const metric = (await registry.getMetricsAsJSON()).find((candidate) => candidate.name === name);
  return (metric?.values ?? []).map(({ labels, value }) => [labels, value]);
}

describe('metrics', () => {
  it('tells a connector as it is when asked', async () => {
    const registry = new Registry();
    const status = createConnectorStatus(['contacts', 'quotes']);
    registerConnectorMetrics(status, registry);
    status.events = 7;
    expect(await valuesOf(registry, 'crosswalk_connector_events_total')).toEqual([[{}, 7]]);
    expect(await valuesOf(registry, 'crosswalk_connector_lag_seconds')).toEqual([[{}, 0]]);
    status.events = 9;
    status.state = 'streaming';
    status.lsn = 0x1_0000_0010n;
    status.sourceMicros = BigInt(Date.now() - 5000) * 1000n;
    status.snapshot = { quotes: { done: true, lastKey: null, rows: 12 } };
    expect(await valuesOf(registry, 'crosswalk_connector_events_total')).toEqual([[{}, 9]]);
    expect(await valuesOf(registry, 'crosswalk_connector_position_lsn_bytes')).toEqual([[{}, 0x1_0000_0010]]);
    expect(await valuesOf(registry, 'crosswalk_connector_state_info')).toContainEqual([{ state: 'streaming' }, 1]);
    expect(await valuesOf(registry, 'crosswalk_snapshot_table_rows')).toEqual([
      [{ table: 'contacts' }, 0],
      [{ table: 'quotes' }, 12],
    ]);
    expect(await valuesOf(registry, 'crosswalk_snapshot_table_done')).toContainEqual([{ table: 'quotes' }, 1]);
    const [[, lagSeconds]] = (await valuesOf(registry, 'crosswalk_connector_lag_seconds')) as [[object, number]];
    expect(lagSeconds).toBeGreaterThanOrEqual(5);
    expect(lagSeconds).toBeLessThan(60);
  });

  it('labels projections by name, and can be declared again', async () => {
    const registry = new Registry();
    registerProjectorMetrics([createProjectionStatus('old')], registry);
    const quotes = { ...createProjectionStatus('quotes'), records: 3, lagOffsets: 4, deadLettersOpen: 1 };
    registerProjectorMetrics([quotes], registry);
    const labels = { projection: 'quotes' };
    expect(await valuesOf(registry, 'crosswalk_projection_records_total')).toEqual([[labels, 3]]);
    expect(await valuesOf(registry, 'crosswalk_projection_lag_offsets')).toEqual([[labels, 4]]);
    expect(await valuesOf(registry, 'crosswalk_projection_open_dead_letters')).toEqual([[labels, 1]]);
  });

  it('gives a table an age once it was verified, and none before', async () => {
    const registry = new Registry();
    const status = createVerifyStatus(['leads', 'tenants']);
    registerVerifyMetrics(status, registry);
    expect(await valuesOf(registry, 'crosswalk_verify_table_age_seconds')).toEqual([]);
    status.tables = status.tables.map((table) =>
      table.table === 'leads' ? { ...table, throughSeconds: Date.now() / 1000 - 100 } : table,
    );
    const ages = (await valuesOf(registry, 'crosswalk_verify_table_age_seconds')) as [object, number][];
    expect(ages.map(([labels]) => labels)).toEqual([{ table: 'leads' }]);
    expect(Math.round(ages[0]![1] / 100)).toBe(1);
    expect(await valuesOf(registry, 'crosswalk_verify_table_rows')).toHaveLength(2);
  });

  it('names every metric crosswalk_<area>_…', async () => {
    const registry = new Registry();
    registerConnectorMetrics(createConnectorStatus([]), registry);
    registerProjectorMetrics([createProjectionStatus('quotes')], registry);
    for (const { name, type } of await registry.getMetricsAsJSON()) {
      expect(name).toMatch(/^crosswalk_(connector|snapshot|projection)_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(String(type) === 'counter');
    }
  });
});
