// The servers of a chaos run, each behind a proxy, and the addresses that the pipeline is given.

import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { planSourceSetup } from '../../connectors/source-setup.ts';
import { captureOf } from '../../connectors/source-state.ts';
import { findFreePort } from '../../infra/stack/free-port.ts';
import { startKafka } from '../../infra/stack/kafka.ts';
import { startPostgres } from '../../infra/stack/postgres.ts';
import { registryUrlOf, startRegistry } from '../../infra/stack/registry.ts';
import type { Server } from '../../infra/stack/stack.ts';
import { createLegacySchema } from '../../pipelines/crm/sample/load.ts';
import type { Config } from '../../runtime/config.ts';
import { connect } from '../../runtime/postgres.ts';
import { migrateUp, parseConfig } from '../support/crm.ts';
import { kafkaClientEnv } from '../support/kafka-client.ts';
import { openTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

export const serverNames = ['legacy', 'target', 'kafka', 'registry'] as const;
export type ServerName = (typeof serverNames)[number];

export interface World {
  readonly dir: string;
  readonly servers: Readonly<Record<ServerName, Server>>;
  readonly proxies: Readonly<Record<ServerName, TcpProxy>>;
  /** Straight to the servers, for those who watch. */
  readonly direct: {
    readonly legacyUrl: string;
    readonly targetUrl: string;
    readonly env: Readonly<Record<string, string>>;
  };
  /** Through the proxies, for the processes under attack. */
  readonly env: Readonly<Record<string, string>>;
  readonly config: Config;
  close(): Promise<void>;
}

/** Starts everything in a folder of its own below TMPDIR, with an empty legacy schema that is published and a migrated target. */
export async function openWorld(settings: Readonly<Record<string, string>>): Promise<World> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-chaos-')));
  const opened: { close(): Promise<unknown> }[] = [];
  const close = async () => {
    for (const each of opened.reverse()) await each.close().catch(() => undefined);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const folder = (name: string) => {
      mkdirSync(join(dir, name, 'logs'), { recursive: true });
      return join(dir, name);
    };
    const keep = <T extends { server: Server }>(started: T): T => {
      opened.push({ close: () => started.server.stop('SIGKILL') });
      return started;
    };
    const proxy = async (port: number) => {
      const opening = await openTcpProxy(port);
      opened.push(opening);
      return opening;
    };
    const quiet = () => undefined;
    const legacy = keep(await startPostgres(folder('legacy'), ['legacy'], undefined));
    const target = keep(await startPostgres(folder('target'), ['crm'], undefined));
    const proxiedPort = await findFreePort();
    const kafkaProxy = await proxy(proxiedPort);
    const kafka = keep(
      await startKafka(folder('kafka'), {}, quiet, { port: proxiedPort, advertisedPort: kafkaProxy.port }),
    );
    const registry = keep(await startRegistry(folder('registry'), `127.0.0.1:${kafka.port}`, undefined, quiet));
    const proxies = {
      legacy: await proxy(legacy.port),
      target: await proxy(target.port),
      kafka: kafkaProxy,
      registry: await proxy(registry.port),
    };
    const throughProxy = (url: string, { port }: TcpProxy) => {
      const changed = new URL(url);
      changed.port = String(port);
      return changed.href;
    };
    const direct = { legacyUrl: legacy.url('legacy'), targetUrl: target.url('crm') };
    const env = {
      ...settings,
      ...kafkaClientEnv,
      LEGACY_DATABASE_URL: throughProxy(direct.legacyUrl, proxies.legacy),
      TARGET_DATABASE_URL: throughProxy(direct.targetUrl, proxies.target),
      KAFKA_BROKERS: `127.0.0.1:${kafkaProxy.port}`,
      SCHEMA_REGISTRY_URL: registryUrlOf(proxies.registry.port),
    };
    const directEnv = {
      ...env,
      LEGACY_DATABASE_URL: direct.legacyUrl,
      TARGET_DATABASE_URL: direct.targetUrl,
      KAFKA_BROKERS: `127.0.0.1:${kafka.port}`,
      SCHEMA_REGISTRY_URL: registryUrlOf(registry.port),
    };
    const config = parseConfig(directEnv);
    await prepare(direct.legacyUrl, direct.targetUrl, config);
    return {
      dir,
      servers: { legacy: legacy.server, target: target.server, kafka: kafka.server, registry: registry.server },
      proxies,
      direct: { ...direct, env: directEnv },
      env,
      config,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function prepare(legacyUrl: string, targetUrl: string, config: Config): Promise<void> {
  const client = new pg.Client({ connectionString: legacyUrl });
  await client.connect();
  await createLegacySchema(client).finally(() => client.end());
  const legacy = await connect(legacyUrl, 'chaos');
  const target = await connect(targetUrl, 'chaos');
  try {
    for (const statement of await planSourceSetup(legacy, captureOf(config))) await legacy.query(statement);
    await migrateUp(target, () => undefined);
  } finally {
    await legacy.end();
    await target.end();
  }
}
