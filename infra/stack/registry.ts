// The embedded schema registry. Its schemas live in a Kafka topic, so that they survive its end, orderly or not.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findFreePort } from './free-port.ts';
import { findJava, installRegistry } from './jars.ts';
import { createServer, StartError } from './server.ts';
import type { Server } from './stack.ts';

/** The address of the registry's Confluent-compatible API. */
export function registryUrlOf(port: number): string {
  return `http://127.0.0.1:${port}/apis/ccompat/v7`;
}

/** Whether the registry lists its subjects; rejects while it starts. */
export async function answersRegistry(port: number): Promise<boolean> {
  const response = await fetch(`${registryUrlOf(port)}/subjects`, { signal: AbortSignal.timeout(2000) });
  await response.arrayBuffer();
  return response.status === 200;
}

/** Starts the registry on the Kafka cluster that holds its schemas. */
export async function startRegistry(
  dir: string,
  kafkaBrokers: string,
  preferredPort: number | undefined,
  log: (line: string) => void,
): Promise<{ server: Server; port: number }> {
  const home = await installRegistry(log);
  const scratch = join(dir, 'registry');
  mkdirSync(scratch, { recursive: true });
  for (let attempt = 1; ; attempt++) {
    const port = await findFreePort(attempt === 1 ? preferredPort : undefined);
    const server = createServer({
      name: 'registry',
      dir,
      command: [
        findJava(),
        ...['-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
        `-Djava.io.tmpdir=${scratch}`,
        `-Dapicurio.storage.snapshot.location=${scratch}`,
        // While it starts it waits this long for snapshots of its topic, by default 5 s; without one it reads the whole topic.
        '-Dapicurio.kafkasql.consumer.poll.timeout=500',
        '-Dapicurio.storage.kind=kafkasql',
        `-Dapicurio.kafkasql.bootstrap.servers=${kafkaBrokers}`,
        '-Dquarkus.http.access-log.enabled=false',
        '-Dquarkus.http.host=127.0.0.1',
        `-Dquarkus.http.port=${port}`,
        ...['-cp', `${home}/*:${home}/lib/*`, 'io.quarkus.runner.GeneratedMain'],
      ],
      env: process.env,
      ids: {},
      stopSignal: 'SIGTERM',
      isReady: () => answersRegistry(port),
    });
    try {
      await server.start();
      return { server, port };
    } catch (error) {
      await server.stop('SIGKILL');
      if (!(error instanceof StartError && error.portTaken) || attempt === 5) throw error;
    }
  }
}
