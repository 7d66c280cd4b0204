import pg from 'pg';
import { planSourceSetup } from '../connectors/source-setup.ts';
import { captureOf } from '../connectors/source-state.ts';
import crm from '../pipelines/crm/pipeline.ts';
import { createLegacySchema } from '../pipelines/crm/sample/load.ts';
import { migrationsOf } from '../projectors/pipeline.ts';
import type { Projection } from '../projectors/projection.ts';
import { parseConfig } from '../runtime/config.ts';
import { Failure } from '../runtime/error-codes.ts';
import { addressConfig, connect } from '../runtime/postgres.ts';
import { untilTrue } from '../runtime/retry.ts';
import { migrateUp } from '../schemas/migrations.ts';
import { quoteIdent, quoteTable } from '../schemas/quote.ts';
import { type Bench, type Databases, type Run, shippedProjector } from './bench.ts';
import { deleteTopics } from './delete-topics.ts';
import { flatProjector, flatQuotes, flatTable } from './flat/flat-quotes.ts';
import { assertCopied, assertFannedOut } from './workload.ts';

/** What a pipeline projects, and how one sees that it is right. */
interface Kind {
  readonly projections: readonly Projection[];
  readonly projection: string;
  readonly projector: Bench['projector'];
  readonly visibleIn: string;
  /** Whether the projector analyzes the tables and fills the figures after a load: only if all declared projections run. */
  readonly hasUpkeep: boolean;
  /** Tables that the connector captures; by default all of them. */
  readonly tables?: string;
  readonly targetSchema?: string;
  /** Settings of its processes. */
  readonly env?: Readonly<Record<string, string>>;
  readonly assertEqual: (databases: Databases) => Promise<void>;
}

/** The product as it is shipped: each quote fans out to eight tables. */
export const fanOut: Kind = {
  projections: crm.projections,
  projection: 'quotes',
  projector: shippedProjector,
  visibleIn: 'crm.quotes_new',
  hasUpkeep: true,
  assertEqual: assertFannedOut,
};

/** One table copied to the same table: what the peer does. */
export const flat: Kind = {
  projections: [flatQuotes],
  projection: flatQuotes.name,
  projector: flatProjector,
  visibleIn: 'crm.quotes',
  hasUpkeep: false,
  tables: 'quotes',
  targetSchema: flatTable,
  assertEqual: (databases) => assertCopied(databases, 'crm.quotes'),
};

/** Runs `work` on a pipeline with databases, slot and topics of its own, none of which is left behind. `name`: lower-case letters, digits and _. */
export async function withPipeline<T>(
  run: Run,
  name: string,
  { tables, targetSchema, env, assertEqual, ...kind }: Kind,
  work: (bench: Bench) => Promise<T>,
): Promise<T> {
  const id = `bench_${name}`;
  return await withDatabases(run, id, kind.visibleIn, async (databases) => {
    const { legacy, target } = databases;
    const at = (url: string | undefined, side: string) => onDatabase(url!, `${id}_${side}`);
    const workerEnv = {
      ...run.local.env,
      LEGACY_DATABASE_URL: at(run.local.env.LEGACY_DATABASE_URL, 'legacy'),
      LEGACY_OWNER_URL: at(run.local.env.LEGACY_OWNER_URL, 'legacy'),
      TARGET_DATABASE_URL: at(run.local.env.TARGET_DATABASE_URL, 'target'),
      TARGET_OWNER_URL: at(run.local.env.TARGET_OWNER_URL, 'target'),
      CROSSWALK_SLOT: id,
      CROSSWALK_TOPIC_PREFIX: id,
      ...(tables === undefined ? {} : { CROSSWALK_TABLES: tables }),
      ...env,
    };
    const config = parseConfig({ ...run.env, ...workerEnv }, crm);
    for (const statement of await planSourceSetup(legacy, captureOf(config))) await legacy.query(statement);
    const captured = config.tables.map((table) => quoteTable(config.legacySchema, table));
    await legacy.query(`GRANT USAGE ON SCHEMA ${quoteIdent(config.legacySchema)} TO crosswalk_connector`);
    await legacy.query(`GRANT SELECT ON ${captured.join(', ')} TO crosswalk_connector`);
    await migrateUp(target, () => undefined, { migrations: migrationsOf(crm) });
    if (targetSchema !== undefined) await target.query(targetSchema);
    const bench: Bench = {
      ...run,
      ...kind,
      ...databases,
      name,
      config,
      workerEnv,
      assertEqual: () => assertEqual(bench),
    };
    try {
      return await work(bench);
    } finally {
      await deleteTopics(config.kafka(), `${id}.`).catch(() => undefined);
    }
  });
}

/** Runs `work` on two new databases of the run's server, the first with the legacy tables; they and their slots are gone after it. */
export async function withDatabases<T>(
  run: Run,
  id: string,
  visibleIn: string,
  work: (databases: Databases) => Promise<T>,
): Promise<T> {
  const names = [`${id}_legacy`, `${id}_target`] as const;
  const admin = await connect(run.local.stack.adminUrl!, 'bench');
  const clients: pg.Client[] = [];
  try {
    for (const name of names) {
      await dropDatabase(admin, name);
      await admin.query(`CREATE DATABASE ${quoteIdent(name)}`);
      clients.push(await connect(onDatabase(run.local.stack.adminUrl!, name), 'bench'));
    }
    const [legacy, target] = clients as [pg.Client, pg.Client];
    const ownerUrl = onDatabase(run.local.stack.adminUrl!, names[0]);
    await createLegacyTables(ownerUrl);
    return await work({ legacy, target, ownerUrl, visibleIn, lastRow: 0 });
  } finally {
    for (const client of clients) await client.end().catch(() => undefined);
    for (const name of names) await dropDatabase(admin, name).catch(() => undefined);
    await admin.end();
  }
}

async function createLegacyTables(url: string): Promise<void> {
  const client = new pg.Client(addressConfig(url, 'bench'));
  await client.connect();
  try {
    await createLegacySchema(client);
  } finally {
    await client.end();
  }
}

/** An address of another database on the same server. */
export function onDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

/** A slot goes with its database, once the session that reads it is gone: one left behind would hold WAL back under all that comes after. */
async function dropDatabase(admin: pg.Client, name: string): Promise<void> {
  await untilTrue(
    `database ${name} without a reader`,
    async () => {
      const { rows } = await admin.query(
        'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = $1 AND active',
        [name],
      );
      return rows.length === 0;
    },
    {
      everyMs: 50,
      timeoutMs: 30_000,
      signal: new AbortController().signal,
      late: Failure.of('not_reached.postgres_log'),
    },
  );
  await admin.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1', [name]);
  await admin.query(`DROP DATABASE IF EXISTS ${quoteIdent(name)} WITH (FORCE)`);
}
