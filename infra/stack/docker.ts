// The stack as Docker containers. Type-checked, but not exercised where it was written: there was no Docker engine.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findFreePort } from './free-port.ts';
import { kafkaSettings } from './kafka.ts';
import { fetchBrokerCount } from './kafka-brokers.ts';
import { answersSql, createMissingDatabases, postgresSettings } from './postgres.ts';
import { answersRegistry, registryUrlOf } from './registry.ts';
import type { Engine, EngineRequest, Server } from './stack.ts';

const run = promisify(execFile);
const startTimeoutMs = 180_000;

export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  /** The Docker network, or `host`, where ports are not mapped. */
  readonly network: string;
  readonly env: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  /** The host's port is chosen here and not by Docker, so that it stays the same over a restart. */
  readonly port: { readonly host: number; readonly container: number };
  readonly volume?: { readonly name: string; readonly path: string };
}

/** Starts a container in the background. */
export type StartContainer = (spec: ContainerSpec) => Promise<void>;

async function docker(...args: string[]): Promise<string> {
  try {
    return (await run('docker', args, { maxBuffer: 64 << 20 })).stdout.trim();
  } catch (error) {
    const text = String((error as { stderr?: string }).stderr || (error as Error).message).trim();
    throw new Error(`docker ${args[0]} failed: ${text.split('\n').at(-1)}`);
  }
}

/** Whether a Docker engine answers; the client alone is not enough. */
export async function isDockerRunning(): Promise<boolean> {
  try {
    await run('docker', ['info', '--format', '{{.ServerVersion}}'], { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

const runContainer: StartContainer = async (spec) => {
  const env = Object.entries(spec.env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
  const port = spec.network === 'host' ? [] : ['-p', `127.0.0.1:${spec.port.host}:${spec.port.container}`];
  const volume = spec.volume === undefined ? [] : ['-v', `${spec.volume.name}:${spec.volume.path}`];
  await docker(
    'run',
    '-d',
    '--name',
    spec.name,
    '--network',
    spec.network,
    ...env,
    ...port,
    ...volume,
    spec.image,
    ...spec.command,
  );
};

async function openServer(
  name: Server['name'],
  spec: ContainerSpec,
  startContainer: StartContainer,
  isReady: () => Promise<boolean>,
): Promise<Server> {
  let pid = 0;
  async function waitUntilReady(): Promise<void> {
    const deadline = Date.now() + startTimeoutMs;
    for (;;) {
      const [running, id] = (await docker('inspect', '-f', '{{.State.Running}} {{.State.Pid}}', spec.name)).split(' ');
      if (running === 'true' && (await isReady().catch(() => false))) {
        pid = Number(id);
        return;
      }
      if (running !== 'true' || Date.now() > deadline) {
        const lines = await run('docker', ['logs', '--tail', '12', spec.name]).catch(() => ({
          stdout: '',
          stderr: '',
        }));
        throw new Error(`${name} did not start; the last lines of its log:\n${lines.stdout}${lines.stderr}`);
      }
      await sleep(200);
    }
  }
  await startContainer(spec);
  await waitUntilReady();
  const inBackground = (command: string) => {
    docker(command, spec.name).catch((error: Error) => console.error(error.message));
  };
  return {
    name,
    get pid() {
      return pid;
    },
    stop: async (signal = 'SIGTERM') => {
      await docker(...(signal === 'SIGKILL' ? ['kill'] : ['stop', '-t', '30']), spec.name);
      pid = 0;
    },
    start: async () => {
      await docker('start', spec.name);
      await waitUntilReady();
    },
    pause: () => inBackground('pause'),
    resume: () => inBackground('unpause'),
  };
}

function readPassword(dir: string): string {
  const file = join(dir, 'postgres.password');
  if (!existsSync(file)) writeFileSync(file, randomBytes(18).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

/** Starts the containers asked for. Throws with none left running. */
export async function openDocker(
  request: EngineRequest,
  startContainer: StartContainer = runContainer,
): Promise<Engine> {
  // One name for each folder: what an earlier, killed run in it left over is found again.
  const id = `crosswalk-${createHash('sha256').update(request.dir).digest('hex').slice(0, 10)}`;
  const names = ['postgres', 'kafka', 'registry'].map((name) => `${id}-${name}`);
  const volumes = [`${id}-postgres`, `${id}-kafka`];
  const removeContainers = () => run('docker', ['rm', '-f', ...names]).catch(() => {});
  const removeVolumes = () => run('docker', ['volume', 'rm', '-f', ...volumes]).catch(() => {});
  await removeContainers();
  if (!request.keepData) await removeVolumes();
  await run('docker', ['network', 'create', id]).catch(() => {});
  const servers: { postgres?: Server; kafka?: Server; registry?: Server } = {};
  let databaseUrl: Engine['databaseUrl'];
  let kafkaPort: number | undefined;
  let registryPort: number | undefined;

  async function openPostgres(): Promise<void> {
    if (request.databases.length === 0) return;
    const port = await findFreePort();
    const password = readPassword(request.dir);
    const url = (database: string) =>
      `postgres://postgres:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
    const spec: ContainerSpec = {
      ...{ name: `${id}-postgres`, image: 'postgres:18', network: id, port: { host: port, container: 5432 } },
      env: {
        POSTGRES_PASSWORD: password,
        POSTGRES_INITDB_ARGS: '--encoding=UTF8 --locale-provider=builtin --locale=C.UTF-8',
      },
      command: Object.entries(postgresSettings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      volume: { name: `${id}-postgres`, path: '/var/lib/postgresql' },
    };
    servers.postgres = await openServer('postgres', spec, startContainer, () => answersSql(url('postgres')));
    await createMissingDatabases(url, request.databases);
    databaseUrl = url;
  }

  async function openKafkaAndRegistry(): Promise<void> {
    if (request.kafka) {
      const port = await findFreePort();
      const properties = {
        ...kafkaSettings,
        'node.id': '1',
        'process.roles': 'broker,controller',
        'controller.quorum.voters': '1@localhost:9093',
        'controller.listener.names': 'CONTROLLER',
        listeners: 'PLAINTEXT://:9092,INSIDE://:9094,CONTROLLER://:9093',
        'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},INSIDE://${id}-kafka:9094`,
        'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT',
        'inter.broker.listener.name': 'INSIDE',
        'log.dirs': '/var/lib/kafka/data',
      };
      // The image reads its settings from variables: KAFKA_, upper case, underscores for dots.
      const env = Object.entries(properties).map(([key, value]) => [
        `KAFKA_${key.toUpperCase().replaceAll('.', '_')}`,
        value,
      ]);
      const spec: ContainerSpec = {
        ...{ name: `${id}-kafka`, image: 'apache/kafka:4.1.0', network: id, port: { host: port, container: 9092 } },
        env: { ...Object.fromEntries(env), KAFKA_HEAP_OPTS: '-Xms256m -Xmx1g' },
        command: [],
        volume: { name: `${id}-kafka`, path: '/var/lib/kafka/data' },
      };
      servers.kafka = await openServer('kafka', spec, startContainer, async () => (await fetchBrokerCount(port)) > 0);
      kafkaPort = port;
    }
    if (request.registry) {
      const port = await findFreePort();
      // Given brokers advertise addresses of the host's network, which a container of a network of its own may not reach.
      const inHost = request.givenBrokers !== undefined;
      const spec: ContainerSpec = {
        ...{ name: `${id}-registry`, image: 'apicurio/apicurio-registry:3.0.9', network: inHost ? 'host' : id },
        port: { host: port, container: 8080 },
        env: {
          APICURIO_STORAGE_KIND: 'kafkasql',
          APICURIO_KAFKASQL_BOOTSTRAP_SERVERS: request.givenBrokers ?? `${id}-kafka:9094`,
          APICURIO_KAFKASQL_CONSUMER_POLL_TIMEOUT: '500',
          JAVA_OPTS_APPEND: '-Xmx384m',
          ...(inHost ? { QUARKUS_HTTP_HOST: '127.0.0.1', QUARKUS_HTTP_PORT: String(port) } : {}),
        },
        command: [],
      };
      servers.registry = await openServer('registry', spec, startContainer, () => answersRegistry(port));
      registryPort = port;
    }
  }

  async function close(): Promise<void> {
    // PostgreSQL and Kafka end in order, since their volumes may be used again.
    await Promise.all([servers.kafka?.stop(), servers.postgres?.stop()].map((stop) => stop?.catch(() => {})));
    await removeContainers();
    await run('docker', ['network', 'rm', id]).catch(() => {});
    if (!request.keepData) await removeVolumes();
  }

  const results = await Promise.allSettled([openPostgres(), openKafkaAndRegistry()]);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) {
    await close();
    throw failed.reason;
  }
  return {
    servers,
    databaseUrl,
    kafkaBrokers: kafkaPort === undefined ? undefined : `127.0.0.1:${kafkaPort}`,
    registryUrl: registryPort === undefined ? undefined : registryUrlOf(registryPort),
    close,
  };
}
