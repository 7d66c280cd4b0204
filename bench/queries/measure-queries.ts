import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { connect } from '../../runtime/postgres.ts';
import { type Distribution, round, toDistribution } from '../statistics.ts';
import { type ApplicationQuery, applicationQueries, LEADS_OF_A_TENANT, type Random } from './application-queries.ts';
import { fillStatements, type QueriesSize, tenantName } from './fill-statements.ts';
import { type PlanNode, toIndexNames, toPlanText } from './plan-text.ts';

/** What is measured, and how often. */
export interface QueriesPlan extends QueriesSize {
  readonly executions: number;
  readonly sessions: number;
  /** Of each session, in the mix. */
  readonly queriesPerSession: number;
  /** Mean pause of a session between two queries. */
  readonly pauseMs: number;
  readonly imports: number;
}

/** One query, or one mix of them. */
export interface QueryTimes {
  readonly name: string;
  /** p95, milliseconds; null: measured for comparison only. */
  readonly wantedMs: number | null;
  readonly ms: Distribution;
  readonly isMet: boolean | null;
  readonly errors: number;
  /** Rows of all answers. */
  readonly rows: number;
  readonly plan?: string;
  readonly indexes?: readonly string[];
  readonly perSecond?: number;
}

export interface QueriesMeasured extends QueriesPlan {
  readonly queries: QueryTimes[];
}

const IMPORTED = 1000;

/** Fills a migrated, empty new schema, and times the application's queries on it as a member of crosswalk_app. `owner` owns the schema and may create logins. */
export async function measureQueries(
  owner: pg.Client,
  targetUrl: string,
  plan: QueriesPlan,
  { say, signal }: { say: (line: string) => void; signal: AbortSignal },
): Promise<QueriesMeasured> {
  for (const statement of fillStatements(plan)) {
    signal.throwIfAborted();
    await owner.query(statement);
  }
  await owner.query('VACUUM ANALYZE');
  await owner.query('CHECKPOINT');
  say(`  ${plan.leads} leads of ${plan.tenants} tenants`);
  const login = await createApplicationLogin(owner, targetUrl);
  const queries: QueryTimes[] = [];
  const add = (measured: QueryTimes) => {
    queries.push(measured);
    const { name, ms, errors } = measured;
    say(`  ${name}: p50 ${round(ms.p50, 2)} ms, p95 ${round(ms.p95, 2)} ms, ${errors} errors`);
  };
  try {
    const asked = applicationQueries(plan);
    const leadsOf = await readLeads(owner);
    const session = await connect(login.url, 'app');
    try {
      for (const query of asked.flatMap((each) => toSizes(each, plan))) {
        signal.throwIfAborted();
        add(await measureQuery(session, owner, query, plan, leadsOf));
      }
    } finally {
      await session.end();
    }
    const mixed = asked.flatMap((query) => Array<ApplicationQuery>(query.weight ?? 1).fill(query));
    const mix = { login: login.url, queries: mixed, plan, leadsOf, signal };
    add(await measureMix(`${plan.sessions} sessions, mixed`, 50, plan.pauseMs, mix));
    add(await measureMix(`${plan.sessions} sessions, mixed, without pauses`, null, 0, mix));
    const importer = await connect(login.url, 'app');
    try {
      add(await measureImport(importer, plan));
    } finally {
      await importer.end();
    }
  } finally {
    await login.drop();
  }
  return { ...plan, queries };
}

/** Where the largest tenant has far more leads than the targets are for, its queries are measured for comparison only, beside those of any tenant. */
function toSizes(query: ApplicationQuery, { leads }: QueriesSize): ApplicationQuery[] {
  if (query.isOfAllLeads !== true || leads / 10 < 2 * LEADS_OF_A_TENANT) return [query];
  const name = query.name.replace(', largest tenant', '').replace('the largest tenant', 'a tenant');
  const ofAny = { ...query, name: `${name}, any tenant`, isOfLargest: false };
  return [ofAny, { ...query, name: `${name}, largest tenant`, wantedMs: null }];
}

async function createApplicationLogin(owner: pg.Client, targetUrl: string) {
  const name = `bench_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  await owner.query(`CREATE ROLE ${name} LOGIN PASSWORD '${password}' IN ROLE crosswalk_app`);
  // As docs/application.md recommends: workers for one short query are taken from other sessions.
  await owner.query(`ALTER ROLE ${name} SET max_parallel_workers_per_gather = 0`);
  const url = new URL(targetUrl);
  url.username = name;
  url.password = password;
  return { url: url.href, drop: async () => void (await owner.query(`DROP ROLE ${name}`)) };
}

type LeadsOf = ReadonlyMap<string, readonly number[]>;

/** Numbers of each tenant's leads; of a large one some of them. */
async function readLeads(owner: pg.Client): Promise<LeadsOf> {
  const { rows } = await owner.query<{ tenant: string; leads: string }>(
    `SELECT tenant_id AS tenant, array_to_string((array_agg(right(phone, 7)::int - 2000000 ORDER BY id))[1:1000], ',') AS leads FROM crm.leads GROUP BY 1`,
  );
  return new Map(rows.map(({ tenant, leads }) => [tenant, leads.split(',').map(Number)]));
}

/** The same numbers in every run: a linear congruential generator. Seeds that follow each other begin far apart: otherwise all sessions of the mix would begin with the same pause. */
function createRandom(seed: number): Random {
  let state = Math.imul(seed, 0x9e37_79b1) >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

function toExecution(query: ApplicationQuery, random: Random, { tenants }: QueriesSize, leadsOf: LeadsOf) {
  const tenant = tenantName(query.isOfLargest === true ? 1 : 1 + random(tenants));
  const leads = leadsOf.get(tenant)!;
  return { tenant, params: query.params({ random, tenant, lead: leads[random(leads.length)]! }) };
}

const setTenant = async (session: pg.Client, tenant: string) =>
  void (await session.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [tenant]));

/** Runs it many times with other parameters, after a tenth as many to warm up; the time is that of the client, with planning and the way there and back. */
async function measureQuery(
  session: pg.Client,
  owner: pg.Client,
  query: ApplicationQuery,
  plan: QueriesPlan,
  leadsOf: LeadsOf,
): Promise<QueryTimes> {
  const random = createRandom(1);
  const warmUp = Math.ceil(plan.executions / 10);
  const times: number[] = [];
  let [rows, errors] = [0, 0];
  for (let execution = -warmUp; execution < plan.executions; execution++) {
    const { tenant, params } = toExecution(query, random, plan, leadsOf);
    await setTenant(session, tenant);
    const startMs = performance.now();
    const answer = await session.query(query.sql, params).catch(() => null);
    if (execution < 0) continue;
    times.push(performance.now() - startMs);
    if (answer === null) errors++;
    rows += answer?.rowCount ?? 0;
  }
  const { tenant, params } = toExecution(query, random, plan, leadsOf);
  await setTenant(session, tenant);
  return {
    ...toTimes(query.name, query.wantedMs, times, errors, rows),
    ...(await readPlan(session, owner, query, params)),
  };
}

function toTimes(name: string, wantedMs: number | null, times: number[], errors: number, rows: number): QueryTimes {
  const ms = toDistribution(times);
  return { name, wantedMs, ms, isMet: wantedMs === null ? null : ms.p95 < wantedMs && errors === 0, errors, rows };
}

async function readPlan(session: pg.Client, owner: pg.Client, query: ApplicationQuery, params: unknown[]) {
  const before = query.hasFunctions ? await readScans(session, owner) : null;
  const { rows } = await session.query<{ 'QUERY PLAN': string }>(`EXPLAIN (ANALYZE, FORMAT JSON) ${query.sql}`, params);
  const [{ Plan: root }] = JSON.parse(rows[0]!['QUERY PLAN']) as [{ Plan: PlanNode }];
  const scanned =
    before === null
      ? []
      : [...(await readScans(session, owner))].flatMap(([name, scans]) =>
          scans > (before.get(name) ?? 0) ? [name] : [],
        );
  return { plan: toPlanText(root), indexes: [...new Set([...toIndexNames(root), ...scanned])] };
}

async function readScans(session: pg.Client, owner: pg.Client): Promise<Map<string, number>> {
  await session.query('SELECT pg_stat_force_next_flush()');
  const { rows } = await owner.query<{ name: string; scans: string }>(
    `SELECT indexrelname AS name, idx_scan::text AS scans FROM pg_stat_user_indexes WHERE schemaname = 'crm'`,
  );
  return new Map(rows.map(({ name, scans }) => [name, Number(scans)]));
}

/** Sessions side by side that ask for whatever comes, in one time of ten as the largest tenant, which has a tenth of the leads; a pause is even between 0 and twice its mean. */
async function measureMix(
  name: string,
  wantedMs: number | null,
  pauseMs: number,
  of: {
    readonly login: string;
    readonly queries: readonly ApplicationQuery[];
    readonly plan: QueriesPlan;
    readonly leadsOf: LeadsOf;
    readonly signal: AbortSignal;
  },
): Promise<QueryTimes> {
  const times: number[] = [];
  let [rows, errors] = [0, 0];
  const sessions: pg.Client[] = [];
  try {
    for (let number = 0; number < of.plan.sessions; number++) sessions.push(await connect(of.login, 'app'));
    const startMs = performance.now();
    await Promise.all(
      sessions.map(async (session, number) => {
        const random = createRandom(number + 1);
        // A connection of a pool is not new: its first query, which loads the catalog, does not count.
        for (let asked = -1; asked < of.plan.queriesPerSession; asked++) {
          of.signal.throwIfAborted();
          if (pauseMs > 0) await sleep(random(2 * pauseMs));
          const query = of.queries[random(of.queries.length)]!;
          const isOfLargest = random(10) === 0;
          const { tenant, params } = toExecution({ ...query, isOfLargest }, random, of.plan, of.leadsOf);
          await setTenant(session, tenant);
          const queryMs = performance.now();
          const answer = await session.query(query.sql, params).catch(() => null);
          if (asked < 0) continue;
          times.push(performance.now() - queryMs);
          if (answer === null) errors++;
          rows += answer?.rowCount ?? 0;
        }
      }),
    );
    const sent = sessions.length * (of.plan.queriesPerSession + 1);
    const perSecond = round((sent * 1000) / (performance.now() - startMs));
    return { ...toTimes(name, wantedMs, times, errors, rows), perSecond };
  } finally {
    for (const session of sessions) await session.end().catch(() => undefined);
  }
}

/** Leads with their contacts as rows of the application, one statement each, in one transaction. */
async function measureImport(session: pg.Client, { imports, tenants, leads }: QueriesPlan): Promise<QueryTimes> {
  const times: number[] = [];
  let [rows, errors] = [0, 0];
  for (let done = 0; done < imports; done++) {
    const tenant = tenantName(1 + (done % tenants));
    await setTenant(session, tenant);
    const startMs = performance.now();
    try {
      await session.query('BEGIN');
      for (let n = 0; n < IMPORTED; n++) {
        const contact = randomUUID();
        const phone = `+1206${2_000_001 + leads + done * IMPORTED + n}`;
        await session.query(
          'INSERT INTO crm.contacts (id, tenant_id, user_id, chatbot_id, name, phone_number, phone_e164) VALUES ($1, $2, 1, 1, $3, $4, $4)',
          [contact, tenant, `Imported ${n}`, phone],
        );
        await session.query(
          `INSERT INTO crm.leads (tenant_id, contact_id, status, lead_source, phone) VALUES ($1, $2, 'new', 'import', $3)`,
          [tenant, contact, phone],
        );
        rows++;
      }
      await session.query('COMMIT');
    } catch {
      errors++;
      await session.query('ROLLBACK');
    }
    times.push(performance.now() - startMs);
  }
  return toTimes('import of 1,000 leads', 30_000, times, errors, rows);
}
