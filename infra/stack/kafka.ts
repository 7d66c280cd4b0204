// The embedded Kafka: one node, broker and controller in one process.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findFreePort } from './free-port.ts';
import { findJava, installKafka, repositoryRoot } from './jars.ts';
import { fetchBrokerCount } from './kafka-brokers.ts';
import { createServer, StartError } from './server.ts';
import type { Server } from './stack.ts';

const run = promisify(execFile);

/** What a broker is set to, wherever it runs. */
export const kafkaSettings: Readonly<Record<string, string>> = {
  'auto.create.topics.enable': 'false',
  'default.replication.factor': '1',
  'min.insync.replicas': '1',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  'group.min.session.timeout.ms': '1000',
  'log.retention.ms': '-1',
  // A crashed broker may come back only after its old session has ended: by default 9 s.
  'broker.session.timeout.ms': '6000',
  'broker.heartbeat.interval.ms': '1000',
};

const createProperties = (
  data: string,
  port: number,
  controllerPort: number,
  proxied?: ProxiedListener,
  settings: Readonly<Record<string, string>> = {},
) => `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${proxied ? `,PROXIED://${proxied.host ?? '127.0.0.1'}:${proxied.port}` : ''}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}${proxied ? `,PROXIED://${proxied.host ?? '127.0.0.1'}:${proxied.advertisedPort}` : ''}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:${proxied?.pem === undefined ? 'PLAINTEXT' : 'SSL'}
inter.broker.listener.name=PLAINTEXT
${proxied?.pem === undefined ? '' : `ssl.keystore.type=PEM\nssl.keystore.location=${proxied.pem}`}
log.dirs=${data}
${Object.entries({ ...kafkaSettings, ...settings })
  .map(([key, value]) => `${key}=${value}`)
  .join('\n')}
`;

/** A second listener, for clients that reach the broker through a proxy or at another address: they are sent back to where they came from. */
export interface ProxiedListener {
  /** 127.0.0.1 unless given; IPv6 in brackets. */
  readonly host?: string;
  /** A file with a private key and its certificate, of a listener with TLS. */
  readonly pem?: string;
  readonly port: number;
  readonly advertisedPort: number;
}

/** Starts Kafka on the data in `dir`, which is made when missing. `settings` of the broker come on top of `kafkaSettings`. */
export async function startKafka(
  dir: string,
  preferred: { port?: number | undefined; controllerPort?: number | undefined },
  log: (line: string) => void,
  proxied?: ProxiedListener,
  settings: Readonly<Record<string, string>> = {},
): Promise<{ server: Server; port: number; controllerPort: number }> {
  const jars = await installKafka(log);
  const java = findJava();
  const data = join(dir, 'kafka');
  const propertiesFile = join(dir, 'kafka.properties');
  const base = [
    `-Dlog4j2.configurationFile=${join(repositoryRoot, 'infra/embedded/kafka/log4j2.properties')}`,
    '-cp',
    `${jars}/*`,
  ];
  const formatted = join(dir, 'kafka.formatted');
  for (let attempt = 1; ; attempt++) {
    const first = attempt === 1;
    let port = await findFreePort(first ? preferred.port : undefined);
    while (port === proxied?.port) port = await findFreePort();
    let controllerPort = await findFreePort(first ? preferred.controllerPort : undefined);
    // What is free may be given out twice while nobody listens there yet.
    while (controllerPort === port || controllerPort === proxied?.port) controllerPort = await findFreePort();
    writeFileSync(propertiesFile, createProperties(data, port, controllerPort, proxied, settings));
    if (!existsSync(formatted)) {
      rmSync(data, { recursive: true, force: true });
      // A leading dash would be read as an option.
      const clusterId = randomBytes(16).toString('base64url').replace(/^-/, 'a');
      const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', propertiesFile];
      await run(java, ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', ...base, ...format]).catch((error) => {
        throw new Error(`Kafka's storage could not be formatted: ${String(error.stderr || error.message).trim()}`);
      });
      writeFileSync(formatted, '');
    }
    const server = createServer({
      name: 'kafka',
      dir,
      command: [
        java,
        '-Xms256m',
        '-Xmx1g',
        // Where a broker lives for minutes, on the cores of everything else, code that is compiled best costs more than it saves.
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        ...base,
        'kafka.Kafka',
        propertiesFile,
      ],
      env: process.env,
      ids: {},
      stopSignal: 'SIGTERM',
      isReady: async () => (await fetchBrokerCount(port)) > 0,
    });
    try {
      await server.start();
      return { server, port, controllerPort };
    } catch (error) {
      await server.stop('SIGKILL');
      if (!(error instanceof StartError && error.portTaken) || attempt === 5) throw error;
    }
  }
}
