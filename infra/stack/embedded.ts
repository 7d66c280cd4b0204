// The stack as local processes, for machines without a Docker engine.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startKafka } from './kafka.ts';
import { startPostgres } from './postgres.ts';
import { registryUrlOf, startRegistry } from './registry.ts';
import { endLeftOvers } from './server.ts';
import type { Engine, EngineRequest, Server } from './stack.ts';

interface Ports {
  postgres?: number;
  kafka?: number;
  kafkaController?: number;
  registry?: number;
}

/** Everything in the folder but the lock and the logs of this run belongs to one of these names. */
const dataFiles = [
  ...['postgres', 'postgres.created', 'postgres.password', 'kafka', 'kafka.formatted', 'kafka.properties'],
  ...['registry', 'logs', 'ports.json', 'env'],
];

function readPorts(file: string): Ports {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Ports;
  } catch {
    return {};
  }
}

/** Starts the servers asked for; PostgreSQL beside Kafka and then the registry. Throws with none left running. */
export async function openEmbedded(request: EngineRequest): Promise<Engine> {
  const { dir, log } = request;
  await endLeftOvers(dir, log);
  if (!request.keepData) {
    for (const name of dataFiles) rmSync(join(dir, name), { recursive: true, force: true });
  }
  mkdirSync(join(dir, 'logs'), { recursive: true });
  const portsFile = join(dir, 'ports.json');
  // The ports of an earlier run on this data are tried first, so that addresses written down then still hold.
  const ports = readPorts(portsFile);
  const servers: { postgres?: Server; kafka?: Server; registry?: Server } = {};
  let databaseUrl: Engine['databaseUrl'];

  async function openPostgres(): Promise<void> {
    if (request.databases.length === 0) return;
    const started = await startPostgres(dir, request.databases, ports.postgres);
    servers.postgres = started.server;
    ports.postgres = started.port;
    databaseUrl = started.url;
  }

  async function openKafkaAndRegistry(): Promise<void> {
    if (request.kafka) {
      const started = await startKafka(dir, { port: ports.kafka, controllerPort: ports.kafkaController }, log);
      servers.kafka = started.server;
      ports.kafka = started.port;
      ports.kafkaController = started.controllerPort;
    }
    if (request.registry) {
      const started = await startRegistry(dir, request.givenBrokers ?? `127.0.0.1:${ports.kafka}`, ports.registry, log);
      servers.registry = started.server;
      ports.registry = started.port;
    }
  }

  async function close(): Promise<void> {
    // The registry holds nothing that is not in Kafka yet, and an orderly stop of it takes seconds.
    await servers.registry?.stop('SIGKILL');
    await Promise.all([servers.kafka?.stop(), servers.postgres?.stop()]);
  }

  const results = await Promise.allSettled([openPostgres(), openKafkaAndRegistry()]);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) {
    await close();
    throw failed.reason;
  }
  writeFileSync(portsFile, JSON.stringify(ports));
  return {
    servers,
    databaseUrl,
    kafkaBrokers: request.kafka ? `127.0.0.1:${ports.kafka}` : undefined,
    registryUrl: request.registry ? registryUrlOf(ports.registry!) : undefined,
    close,
  };
}
