import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ConnectorStatus } from '../connectors/status.ts';
import type { ProjectionStatus } from '../projectors/status.ts';
import type { VerifiedTable, VerifiedTenant, VerifyStatus } from '../projectors/verify/status.ts';

// Every metric is declared here. Values are read from the status objects on each scrape, so that the flow holds no metrics code.

/** The response of /metrics. */
export const metrics = new Registry();
collectDefaultMetrics({ register: metrics });

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** Declares the metrics of this process's connector. Registering again replaces them. */
export function registerConnectorMetrics(status: ConnectorStatus, registry: Registry = metrics): void {
  const { counter, gauge } = declareIn(registry);
  const one = (value: () => number) => (): Sample[] => [[{}, value()]];
  counter(
    'crosswalk_connector_events_total',
    'Events written to the log',
    one(() => status.events),
  );
  counter(
    'crosswalk_connector_transactions_total',
    'Source transactions written to the log',
    one(() => status.transactions),
  );
  counter(
    'crosswalk_connector_kafka_transactions_total',
    'Kafka transactions committed',
    one(() => status.kafkaTransactions),
  );
  counter(
    'crosswalk_connector_dead_letters_total',
    'Changes too large for their topic, written as dead letters',
    one(() => status.deadLetters),
  );
  gauge(
    'crosswalk_connector_open_dead_letters',
    'Rows whose last version is too large for its topic',
    one(() => status.deadLettersOpen),
  );
  counter(
    'crosswalk_connector_passed_over_changes_total',
    'Changes in the stream that became no event: of tables that are not captured, and of tables that are read again',
    one(() => status.passedOver),
  );
  counter(
    'crosswalk_connector_passed_over_contexts_total',
    'Messages that were to say who changes rows, and could not be kept',
    one(() => status.contextsPassedOver),
  );
  gauge(
    'crosswalk_connector_position_lsn_bytes',
    'LSN before which everything is in the log',
    one(() => Number(status.lsn)),
  );
  gauge(
    'crosswalk_connector_lag_seconds',
    'How far the log is behind the legacy database; 0 before the first position',
    one(() => (status.sourceMicros === 0n ? 0 : Math.max(0, Date.now() / 1000 - Number(status.sourceMicros) / 1e6))),
  );
  gauge(
    'crosswalk_connector_progress_age_seconds',
    'Since the last position was written',
    one(() => (performance.now() - status.lastProgressMs) / 1000),
  );
  gauge('crosswalk_connector_state_info', '1 for the state that the connector is in', () =>
    (['starting', 'standing by', 'streaming', 'stopped'] as const).map((state) => [
      { state },
      status.state === state ? 1 : 0,
    ]),
  );
  gauge('crosswalk_snapshot_table_rows', 'Rows of the initial load written to the log', () =>
    status.tables.map((table) => [{ table }, status.snapshot[table]?.rows ?? 0]),
  );
  gauge('crosswalk_snapshot_table_done', '1 where the initial load of a table is complete', () =>
    status.tables.map((table) => [{ table }, status.snapshot[table]?.done ? 1 : 0]),
  );
  gauge('crosswalk_snapshot_requests', 'Ad-hoc snapshots that are not over, by state', () =>
    (['waiting', 'running', 'paused'] as const).map((state) => [
      { state },
      status.signals?.requests.filter((request) => request.state === state).length ?? 0,
    ]),
  );
}

/** Declares the metrics of this process's projections. Registering again replaces them. */
export function registerProjectorMetrics(statuses: readonly ProjectionStatus[], registry: Registry = metrics): void {
  const { counter, gauge } = declareIn(registry);
  const each = (value: (status: ProjectionStatus) => number) => (): Sample[] =>
    statuses.map((status) => [{ projection: status.name }, value(status)]);
  counter(
    'crosswalk_projection_records_total',
    'Records read',
    each((status) => status.records),
  );
  counter(
    'crosswalk_projection_batches_total',
    'Batches committed',
    each((status) => status.batches),
  );
  counter(
    'crosswalk_projection_applied_rows_total',
    'Legacy rows applied',
    each((status) => status.applied),
  );
  counter(
    'crosswalk_projection_parked_changes_total',
    'Changes parked by this process',
    each((status) => status.parked),
  );
  counter(
    'crosswalk_projection_dead_letters_total',
    'Dead letters written by this process',
    each((status) => status.deadLetters),
  );
  gauge(
    'crosswalk_projection_running_info',
    '1 while the projection is a member of its group',
    each((status) => (status.state === 'running' ? 1 : 0)),
  );
  gauge(
    'crosswalk_projection_assigned_partitions',
    'Partitions assigned to this process',
    each((status) => status.partitions.length),
  );
  gauge(
    'crosswalk_projection_lag_offsets',
    'Offsets of the assigned partitions that are not applied yet',
    each((status) => status.lagOffsets),
  );
  gauge(
    'crosswalk_projection_lag_seconds',
    'How long the oldest of them may have waited',
    each((status) => status.lagSeconds),
  );
  gauge(
    'crosswalk_projection_parked_now_changes',
    'Changes of the projection that are parked',
    each((status) => status.parkedNow),
  );
  gauge(
    'crosswalk_projection_parked_age_seconds',
    'How long the oldest of them has been',
    each((status) => status.parkedSeconds),
  );
  gauge(
    'crosswalk_projection_open_dead_letters',
    'Open dead letters of the projection',
    each((status) => status.deadLettersOpen),
  );
}

/** Declares the metrics of a continuous verification. Registering again replaces them. */
export function registerVerifyMetrics(status: VerifyStatus, registry: Registry = metrics): void {
  const { counter, gauge } = declareIn(registry);
  const one = (value: () => number) => (): Sample[] => [[{}, value()]];
  const each = (value: (table: VerifiedTable) => number) => (): Sample[] =>
    status.tables.map((table) => [{ table: table.table }, value(table)]);
  counter(
    'crosswalk_verify_rows_total',
    'Rows compared, on either side',
    one(() => status.rows),
  );
  counter(
    'crosswalk_verify_fences_total',
    'Times that everything committed was waited for',
    one(() => status.fences),
  );
  counter(
    'crosswalk_verify_passes_total',
    'Passes over all rows that ended',
    one(() => status.passes),
  );
  gauge(
    'crosswalk_verify_suspect_rows',
    'Rows that are looked at once more',
    one(() => status.suspects),
  );
  gauge(
    'crosswalk_verify_pass_seconds',
    'How long the last pass took',
    one(() => status.lastPassSeconds),
  );
  gauge(
    'crosswalk_verify_progress_age_seconds',
    'Since rows were last compared',
    one(() => (performance.now() - status.lastProgressMs) / 1000),
  );
  gauge(
    'crosswalk_verify_fence_age_seconds',
    'How long the pipeline has been waited for to apply what is committed; 0 while nobody waits',
    one(() => (status.waitingSinceMs === null ? 0 : (performance.now() - status.waitingSinceMs) / 1000)),
  );
  gauge(
    'crosswalk_verify_table_rows',
    'Rows that the legacy tables imply, at the last pass',
    each((table) => table.rows),
  );
  gauge(
    'crosswalk_verify_table_difference_rows',
    'Rows that were missing, extra or different at the last pass',
    each((table) => table.differences),
  );
  gauge(
    'crosswalk_verify_table_unsettled_rows',
    'Rows that changed at every look of the last pass',
    each((table) => table.unsettled),
  );
  gauge(
    'crosswalk_verify_table_age_seconds',
    'Since the time up to which the table is verified: everything committed before is covered; none for a table that never was',
    () =>
      status.tables
        .filter(({ throughSeconds }) => throughSeconds > 0)
        .map(({ table, throughSeconds }) => [{ table }, Date.now() / 1000 - throughSeconds]),
    ['table'],
  );
  const ofEach = (value: (tenant: VerifiedTenant) => number) => (): Sample[] =>
    status.tenants.map((tenant) => [{ tenant: tenant.tenant }, value(tenant)]);
  gauge(
    'crosswalk_verify_tenant_difference_rows',
    'Rows of a tenant that were missing, extra, different or not settled, over all tables',
    ofEach((tenant) => tenant.differences),
    ['tenant'],
  );
  gauge(
    'crosswalk_verify_tenant_age_seconds',
    'Since the time up to which every table of a tenant is verified',
    ofEach((tenant) => Date.now() / 1000 - tenant.throughSeconds),
    ['tenant'],
  );
}

function declareIn(registry: Registry) {
  const start = (name: string, read: () => Sample[], labels: readonly string[] = []) => {
    registry.removeSingleMetric(name);
    const labelNames = [...new Set([...labels, ...read().flatMap(([of]) => Object.keys(of))])];
    return { name, labelNames, registers: [registry] };
  };
  return {
    counter(name: string, help: string, read: () => Sample[]): void {
      new Counter({
        ...start(name, read),
        help,
        collect() {
          this.reset();
          for (const [labels, value] of read()) this.inc(labels, value);
        },
      });
    },
    /** `labels`: set if there may be no sample yet. */
    gauge(name: string, help: string, read: () => Sample[], labels?: readonly string[]): void {
      new Gauge({
        ...start(name, read, labels),
        help,
        collect() {
          this.reset();
          for (const [labels, value] of read()) this.set(labels, value);
        },
      });
    },
  };
}
