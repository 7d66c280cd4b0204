import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { findFreePort } from '../../infra/stack/free-port.ts';
import { readLogEnd, untilLogPasses, untilReached } from '../applied.ts';
import { type Databases, type Run, resetServerPeaks, say, type Worker, withWorkers } from '../bench.ts';
import { deleteTopics } from '../delete-topics.ts';
import type { PeerJars } from '../peer/peer-jars.ts';
import {
  type PeerPlace,
  type Properties,
  peerTopic,
  sinkProperties,
  sourceProperties,
  type Tuning,
} from '../peer/peer-settings.ts';
import { PEER_DIR, startPeer } from '../peer/peer-worker.ts';
import { onDatabase, withDatabases } from '../pipeline.ts';
import { idOf, insertQuotes, quoteColumns } from '../quote-rows.ts';
import type { Latency, LatencyName, LegName, Throughput } from '../results.ts';
import { assertCopied, loadChanges, loadRows } from '../workload.ts';
import { measureSingleCommits } from './latency.ts';
import { beginUse, toRowsAfter, toThroughput } from './throughput.ts';

/** Parts of the peer's measurement; the snapshot comes first in any case. */
export interface PeerParts {
  readonly source: boolean;
  readonly catchUp: boolean;
  readonly latency: boolean;
}

type Peer = Run & Databases & { readonly jars: PeerJars; readonly place: PeerPlace };

/** Debezium's source and JDBC sink, under the name `id`, on databases, topic and slot of their own, with the same rows, changes and commits. */
export async function measurePeer(
  run: Run,
  id: string,
  jars: PeerJars,
  parts: PeerParts,
  onMeasured: { leg(name: LegName, measured: Throughput): void; latency(name: LatencyName, measured: Latency): void },
): Promise<void> {
  await withDatabases(run, id, 'public.quotes', async (databases) => {
    const { SCHEMA_REGISTRY_URL: registry = '', KAFKA_BROKERS: brokers = '' } = run.local.env;
    const offsetFile = join(run.stackDir, PEER_DIR, 'offsets.dat');
    rmSync(offsetFile, { force: true });
    const place: PeerPlace = {
      ...{ run: id, brokers, offsetFile, pluginDir: jars.plugins },
      registryUrl: registry.replace(/\/apis\/.*$/, '/apis/registry/v2'),
      sourceUrl: databases.ownerUrl,
      targetUrl: onDatabase(databases.ownerUrl, `${id}_target`),
      restPort: await findFreePort(),
    };
    const peer: Peer = { ...run, ...databases, jars, place };
    try {
      await run.kafka.ensureTopics([{ topic: peerTopic(id), partitions: 1, replicationFactor: 1, config: {} }]);
      await copyTable(peer);
      await registerSchemas(peer);
      onMeasured.leg('peerSnapshot', await measureBoth(peer, 'snapshot', () => loadPeerRows(peer)));
      if (parts.source) onMeasured.leg('peerSource', await measurePeerSource(peer));
      if (parts.catchUp) {
        if (parts.source) await drain(peer);
        const load = () => loadChanges(peer, run.sizes.changes);
        onMeasured.leg('peerCatchup', await measureBoth(peer, 'catchup', load));
      }
      if (parts.latency) {
        onMeasured.latency('peer', await measurePeerLatency(peer, 'throughput'));
        onMeasured.latency('peerForLatency', await measurePeerLatency(peer, 'latency'));
      }
    } finally {
      // Its settings hold passwords.
      rmSync(join(run.stackDir, PEER_DIR), { recursive: true, force: true });
      await deleteTopics({ brokers: brokers.split(',') }, `${id}.`).catch(() => undefined);
    }
  });
}

const both = ({ place }: Peer, tuning: Tuning = 'throughput') => [
  sourceProperties(place, tuning),
  sinkProperties(place),
];
const start = async (peer: Peer, step: string, connectors: readonly Properties[], registers = false) =>
  startPeer(peer, peer.jars, peer.place, { step, connectors, registers });

/** The target has the columns of the source, a primary key and no other index. */
async function copyTable({ legacy, target }: Databases): Promise<void> {
  const { rows } = await legacy.query<{ columns: string }>(
    `SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS columns
     FROM pg_attribute WHERE attrelid = 'public.quotes'::regclass AND attnum > 0 AND attname = ANY ($1)`,
    [quoteColumns],
  );
  await target.query(`CREATE TABLE public.quotes (${rows[0]!.columns}, PRIMARY KEY (id))`);
}

/** A throw-away connector with the same topic writes one row, so that the schemas are in the registry before anything is measured. */
async function registerSchemas(peer: Peer): Promise<void> {
  await addRow(peer);
  const { place } = peer;
  const connector = sourceProperties(place, 'throughput', '_register');
  await withWorkers([start(peer, 'register', [connector], true)], (workers) =>
    untilLogPasses(peer, workers, peerTopic(place.run), 0),
  );
  rmSync(place.offsetFile, { force: true });
  const slot = [connector['slot.name']];
  await untilReached(
    peer,
    [],
    'the slot is free',
    async () => {
      const { rows } = await peer.legacy.query(
        'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active',
        slot,
      );
      return rows.length === 0;
    },
    50,
  );
  await peer.legacy.query('SELECT pg_drop_replication_slot($1)', slot);
}

async function loadPeerRows(peer: Peer): Promise<number> {
  const { rows } = peer.sizes;
  // The row that registered the schemas is one of them.
  await peer.legacy.query('TRUNCATE quotes');
  await loadRows(peer, peer.legacy, 'quotes', rows);
  peer.lastRow = rows;
  return rows;
}

/** One more row, in a transaction of its own. When it is in the target, all before it is: the topic has one partition. */
async function addRow(peer: Peer): Promise<number> {
  const row = ++peer.lastRow;
  await peer.legacy.query(insertQuotes('quotes'), [row, row]);
  return row;
}

async function untilVisible(peer: Peer, workers: readonly Worker[], row: number): Promise<void> {
  await untilReached(
    peer,
    workers,
    'everything in the peer’s target',
    async () => {
      const { rows } = await peer.target.query({
        ...{ name: 'bench visible', text: `SELECT FROM quotes WHERE id = ${idOf('$1::bigint')}`, values: [row] },
      });
      return rows.length > 0;
    },
    50,
  );
}

/** Source and sink at once, on rows that are there before the start: from the first event in the log to the last commit in the target. */
async function measureBoth(peer: Peer, step: string, load: () => Promise<number>): Promise<Throughput> {
  const rows = await load();
  const last = await addRow(peer);
  const topic = peerTopic(peer.place.run);
  const before = await readLogEnd(peer, topic);
  resetServerPeaks(peer);
  const measured = await withWorkers([start(peer, step, both(peer))], async (workers) => {
    const { atMs: firstMs } = await untilLogPasses(peer, workers, topic, before);
    const use = beginUse(peer, workers);
    await untilVisible(peer, workers, last);
    // A snapshot may send its rows in any order.
    await untilReached(
      peer,
      workers,
      'every row in the peer’s target',
      async () => (await countRows(peer)) >= last,
      50,
    );
    const used = use.end();
    return toThroughput({ rows: rows + 1, firstMs, lastMs: await readLastCommitMs(peer), ...used });
  });
  await assertCopied(peer, 'public.quotes');
  say(peer, `  peer, ${step}: ${measured.rowsPerSecond} rows/s`);
  return measured;
}

async function measurePeerSource(peer: Peer): Promise<Throughput> {
  const changes = await loadChanges(peer, peer.sizes.changes);
  const topic = peerTopic(peer.place.run);
  const before = await readLogEnd(peer, topic);
  resetServerPeaks(peer);
  const connectors = [sourceProperties(peer.place, 'throughput')];
  const measured = await withWorkers([start(peer, 'source', connectors)], async (workers) => {
    const first = await untilLogPasses(peer, workers, topic, before);
    const use = beginUse(peer, workers);
    const { end, atMs: lastMs } = await untilLogPasses(peer, workers, topic, before + changes - 1);
    const rows = toRowsAfter(changes, { before, seen: first.end, end });
    return toThroughput({ rows, firstMs: first.atMs, lastMs, ...use.end() });
  });
  say(peer, `  peer, source alone: ${measured.rowsPerSecond} changes/s`);
  return measured;
}

/** Lets the sink take up what the source alone has written. */
async function drain(peer: Peer): Promise<void> {
  const last = await addRow(peer);
  await withWorkers([start(peer, 'drain', both(peer))], (workers) => untilVisible(peer, workers, last));
  await assertCopied(peer, 'public.quotes');
}

async function measurePeerLatency(peer: Peer, tuning: Tuning): Promise<Latency> {
  say(peer, `  peer, tuned for ${tuning}`);
  const measured = await withWorkers([start(peer, `latency-${tuning}`, both(peer, tuning))], (workers) =>
    measureSingleCommits(peer, workers, {
      seconds: peer.sizes.seconds,
      untilVisible: async () => untilVisible(peer, workers, await addRow(peer)),
    }),
  );
  await assertCopied(peer, 'public.quotes');
  return measured;
}

async function countRows({ target }: Databases): Promise<number> {
  const { rows } = await target.query<{ count: string }>('SELECT count(*)::text AS count FROM quotes');
  return Number(rows[0]!.count);
}

async function readLastCommitMs({ target }: Databases): Promise<number> {
  const { rows } = await target.query<{ at: string }>(
    `SELECT (extract(epoch FROM max(pg_xact_commit_timestamp(x))) * 1000)::text AS at FROM (SELECT DISTINCT xmin AS x FROM quotes) commits`,
  );
  return Number(rows[0]!.at);
}
