import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ProxiedListener, startKafka } from '../../infra/stack/kafka.ts';
import type { Server } from '../../infra/stack/stack.ts';

/** A Kafka of a test's own, for what a shared one must not be put through. */
export interface OwnKafka {
  readonly server: Server;
  readonly brokers: string;
  close(): Promise<void>;
}

/** Starts it in a folder of its own, where asked for with a second listener. `settings` of the broker come on top of those of every stack. */
export async function startOwnKafka(
  settings: Readonly<Record<string, string>> = {},
  second?: ProxiedListener,
): Promise<OwnKafka> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-kafka-')));
  const removeDir = () => rmSync(dir, { recursive: true, force: true });
  try {
    mkdirSync(join(dir, 'logs'));
    const { server, port } = await startKafka(dir, {}, () => undefined, second, settings);
    return {
      server,
      brokers: `127.0.0.1:${port}`,
      async close() {
        await server.stop();
        removeDir();
      },
    };
  } catch (error) {
    removeDir();
    throw error;
  }
}
