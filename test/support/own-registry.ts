import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { registryUrlOf, startRegistry } from '../../infra/stack/registry.ts';
import type { Server } from '../../infra/stack/stack.ts';

/** A schema registry of a test's own, for what a shared one must not be put through. */
export interface OwnRegistry {
  readonly server: Server;
  readonly url: string;
  /** Whether it lets anything be written. */
  setReadOnly(isReadOnly: boolean): Promise<void>;
  close(): Promise<void>;
}

const READ_ONLY = 'apis/registry/v3/admin/config/properties/apicurio.storage.read-only.enabled';

/** Starts it in a folder of its own. Its schemas live in that Kafka, which has no other registry. */
export async function startOwnRegistry(kafkaBrokers: string): Promise<OwnRegistry> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-registry-')));
  const removeDir = () => rmSync(dir, { recursive: true, force: true });
  try {
    mkdirSync(join(dir, 'logs'));
    const { server, port } = await startRegistry(dir, kafkaBrokers, undefined, () => undefined);
    return {
      server,
      url: registryUrlOf(port),
      async setReadOnly(isReadOnly) {
        const response = await fetch(`http://127.0.0.1:${port}/${READ_ONLY}`, {
          method: 'PUT',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ value: String(isReadOnly) }),
        });
        if (response.status !== 204) throw new Error(`the registry answered ${response.status}`);
      },
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
