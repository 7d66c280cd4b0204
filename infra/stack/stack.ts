// The servers that crosswalk works on: given by address, else run by a Docker engine, else run as local processes.
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { isDockerRunning, openDocker, type StartContainer } from './docker.ts';
import { openEmbedded } from './embedded.ts';
import { takeLock } from './lock.ts';

export interface Server {
  readonly name: 'postgres' | 'kafka' | 'registry';
  /** 0 while it does not run; in Docker the pid of the container's first process, as the engine knows it. */
  readonly pid: number;
  /** SIGTERM is an orderly stop, SIGKILL a crash; resolves once the process is gone. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Starts it again on the same port and data; resolves once it answers. */
  start(): Promise<void>;
  /** Freezes the server with its connections open. */
  pause(): void;
  resume(): void;
}

export type Origin = 'given' | 'docker' | 'embedded';

export interface Stack {
  readonly kind: { readonly postgres: Origin; readonly kafka: Origin; readonly registry: Origin };
  /** The superuser's URL of the database `postgres`; undefined where both databases are given. */
  readonly adminUrl: string | undefined;
  readonly legacyUrl: string;
  readonly targetUrl: string;
  /** host:port, comma separated */
  readonly kafkaBrokers: string;
  /** The Confluent-compatible API; of a registry that this module runs it ends in /apis/ccompat/v7. */
  readonly registryUrl: string;
  /** The servers that this module runs; given ones are missing. */
  readonly servers: { readonly postgres?: Server; readonly kafka?: Server; readonly registry?: Server };
  /** Stops the servers that this module runs. */
  close(): Promise<void>;
}

export interface StackOptions {
  /** Holds data, logs and pid files. One process at a time. */
  readonly dir: string;
  /** LEGACY_DATABASE_URL, TARGET_DATABASE_URL, KAFKA_BROKERS and SCHEMA_REGISTRY_URL are looked up in it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: (line: string) => void;
  /** false removes the data of an earlier run in `dir` first. */
  readonly keepData: boolean;
  readonly databases?: { readonly legacy: string; readonly target: string };
  /** How containers are started where a Docker engine answers; by default with docker run. */
  readonly startContainer?: StartContainer;
}

/** What an engine, Docker or local processes, is asked to run. */
export interface EngineRequest {
  readonly dir: string;
  readonly log: (line: string) => void;
  readonly keepData: boolean;
  /** The databases to be made; none means no PostgreSQL. */
  readonly databases: readonly string[];
  readonly kafka: boolean;
  readonly registry: boolean;
  /** The brokers that the registry keeps its schemas in, where Kafka is given. */
  readonly givenBrokers: string | undefined;
}

export interface Engine {
  readonly servers: Stack['servers'];
  readonly databaseUrl: ((database: string) => string) | undefined;
  readonly kafkaBrokers: string | undefined;
  readonly registryUrl: string | undefined;
  close(): Promise<void>;
}

/** Finds or starts all servers and waits until each answers. Throws when one cannot be had, with none left running. */
export async function openStack(options: StackOptions): Promise<Stack> {
  const { log, keepData } = options;
  const given = (name: string) => options.env[name]?.trim() || undefined;
  const legacyUrl = given('LEGACY_DATABASE_URL');
  const targetUrl = given('TARGET_DATABASE_URL');
  const givenBrokers = given('KAFKA_BROKERS');
  const givenRegistry = given('SCHEMA_REGISTRY_URL');
  const { legacy, target } = options.databases ?? { legacy: 'legacy', target: 'crm' };
  const databases = [...(legacyUrl ? [] : [legacy]), ...(targetUrl ? [] : [target])];
  const needed = databases.length > 0 || !givenBrokers || !givenRegistry;
  if (!needed) {
    return {
      kind: { postgres: 'given', kafka: 'given', registry: 'given' },
      adminUrl: undefined,
      legacyUrl: legacyUrl!,
      targetUrl: targetUrl!,
      kafkaBrokers: givenBrokers!,
      registryUrl: givenRegistry!,
      servers: {},
      close: async () => {},
    };
  }

  mkdirSync(options.dir, { recursive: true });
  // One name for the folder, whatever path led to it: a left-over process is recognised by it.
  const dir = realpathSync(options.dir);
  const lock = takeLock(join(dir, 'owner'));
  if ('heldBy' in lock)
    throw new Error(`another process (pid ${lock.heldBy}) runs the servers in ${dir}: stop it first`);
  const request: EngineRequest = {
    ...{ dir, log, keepData, databases, givenBrokers },
    kafka: !givenBrokers,
    registry: !givenRegistry,
  };
  let engine: Engine;
  let origin: Origin;
  try {
    origin = (await isDockerRunning()) ? 'docker' : 'embedded';
    engine = origin === 'docker' ? await openDocker(request, options.startContainer) : await openEmbedded(request);
  } catch (error) {
    lock.release();
    throw error;
  }
  return {
    kind: {
      postgres: databases.length > 0 ? origin : 'given',
      kafka: givenBrokers ? 'given' : origin,
      registry: givenRegistry ? 'given' : origin,
    },
    adminUrl: engine.databaseUrl?.('postgres'),
    legacyUrl: legacyUrl ?? engine.databaseUrl!(legacy),
    targetUrl: targetUrl ?? engine.databaseUrl!(target),
    kafkaBrokers: givenBrokers ?? engine.kafkaBrokers!,
    registryUrl: givenRegistry ?? engine.registryUrl!,
    servers: engine.servers,
    close: async () => {
      await engine.close();
      lock.release();
    },
  };
}
