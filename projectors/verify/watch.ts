import type pg from 'pg';
import type { Config } from '../../runtime/config.ts';
import { toCrosswalkError } from '../../runtime/errors.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import type { Log } from '../../runtime/log.ts';
import { connect } from '../../runtime/postgres.ts';
import { createPatience, pause } from '../../runtime/retry.ts';
import type { Checks } from '../pipeline.ts';
import type { Projection, Tenants } from '../projection.ts';
import { liveNamespace, searchPathOption } from '../session.ts';
import type { VerifyStatus } from './status.ts';
import { type Verification, verifyAll } from './verify.ts';

const RETRY_MS = 3000;
/** Maximum number of tenants in metrics. */
const MOST_TENANTS = 1000;

/**
 * Verifies everything repeatedly until the signal is raised. An interrupted pass is resumed, also after a restart. Waits for servers that are down.
 * Throws a CrosswalkError that a person must act on.
 */
export async function watchVerification(
  config: Config,
  projections: readonly Projection[],
  tenants: Tenants,
  options: {
    kafka: Kafka;
    log: Log;
    signal: AbortSignal;
    status: VerifyStatus;
    restSeconds: number;
    maxRate: number | null;
    tenant?: string | null;
    chunkRows?: number;
    checks?: Checks;
    onPass?: (result: Verification) => void;
  },
): Promise<void> {
  const { kafka, log, signal, status, restSeconds, maxRate, tenant = null, onPass } = options;
  let said = '';
  let isKnown = false;
  const patience = createPatience();
  while (!signal.aborted) {
    try {
      if (!isKnown) await recall(config, status);
      isKnown = true;
      const result = await verifyAll(config, projections, tenants, {
        ...{ kafka, signal, status, maxRate, tenant },
        ...{ kind: 'watch', limit: 1, fenceTimeoutMs: 0 },
        ...(options.chunkRows === undefined ? {} : { chunkRows: options.chunkRows }),
        ...(options.checks === undefined ? {} : { checks: options.checks }),
      });
      said = '';
      note(status, result);
      status.tenants = await withTarget(config, readTenants);
      tell(log, result);
      onPass?.(result);
      status.state = 'resting';
      await pause(restSeconds * 1000, signal);
    } catch (thrown) {
      if (signal.aborted) break;
      const error = toCrosswalkError(thrown, 'verification');
      const end = patience.failed(error, String(status.lastProgressMs), `pass ${status.passes + 1}`);
      if (end !== null) throw end;
      status.state = 'starting';
      if (error.message !== said) log.warn({ code: error.code }, `waiting for ${error.message}`);
      said = error.message;
      await pause(RETRY_MS, signal);
    }
  }
  status.state = 'stopped';
}

/** Result of the last pass of any process, used until the first pass of this process ends. */
async function recall(config: Config, status: VerifyStatus): Promise<void> {
  await withTarget(config, async (client) => {
    const { rows } = await client.query<Record<'table' | 'rows' | 'differences' | 'unsettled' | 'through', string>>(
      `SELECT table_name AS "table", rows, differences, unsettled, extract(epoch FROM verified_through) AS through FROM verified WHERE tenant_id = '*'`,
    );
    const known = new Map(rows.map((row) => [row.table, row]));
    status.tables = status.tables.map((table) => {
      const row = known.get(table.table);
      if (row === undefined) return table;
      return {
        ...{ table: row.table, rows: Number(row.rows), differences: Number(row.differences) },
        ...{ unsettled: Number(row.unsettled), throughSeconds: Number(row.through) },
      };
    });
    status.tenants = await readTenants(client);
  });
}

async function readTenants(client: pg.ClientBase): Promise<VerifyStatus['tenants']> {
  const { rows } = await client.query<Record<'tenant' | 'differences' | 'through', string>>(
    `SELECT tenant_id AS tenant, sum(differences + unsettled) AS differences, extract(epoch FROM min(verified_through)) AS through FROM verified
     WHERE tenant_id NOT IN ('*', '') GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $1`,
    [MOST_TENANTS],
  );
  return rows.map(({ tenant, differences, through }) => ({
    ...{ tenant, differences: Number(differences), throughSeconds: Number(through) },
  }));
}

async function withTarget<T>(config: Config, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connect(config.targetUrl(), 'verify', searchPathOption(liveNamespace(config.targetSchema)));
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function note(status: VerifyStatus, { tables, through, seconds }: Verification): void {
  status.passes += 1;
  status.lastPassSeconds = seconds;
  const throughSeconds = Date.parse(through.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00')) / 1000;
  status.tables = tables.map(({ table, expected, missing, extra, differing, unsettled }) => ({
    ...{ table, rows: expected, differences: missing + extra + differing, unsettled, throughSeconds },
  }));
}

/** Logs tables and counts, never a value. */
function tell(log: Log, { ok, run, through, legacyRows, tables, unmappable, checks }: Verification): void {
  const wrong = tables
    .filter(({ missing, extra, differing }) => missing + extra + differing > 0)
    .map(({ table, missing, extra, differing }) => ({ table, missing, extra, differing }));
  const unsettled = tables.reduce((sum, table) => sum + table.unsettled, 0);
  const failed = checks.filter((check) => !check.ok).map(({ name }) => name);
  const fields = { run, through, legacyRows, unsettled };
  if (ok) log.info(fields, 'a pass of the verification found every row equal');
  else
    log.warn(
      { ...fields, wrong, failed, unmappable: unmappable.length },
      'a pass of the verification found differences: `crosswalk verify` names them, `--repair` mends them',
    );
}
