import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findJava } from '../../infra/stack/jars.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { type Run, toWorker, type Worker } from '../bench.ts';
import { startChild } from '../child.ts';
import type { PeerJars } from './peer-jars.ts';
import { jvmOptions, type PeerPlace, type Properties, toPropertiesText, workerProperties } from './peer-settings.ts';

const LOOK_MS = 3000;
/** Of its settings and offsets, in the folder of the stack. */
export const PEER_DIR = 'peer';

/** Starts one standalone worker with all `connectors` in it. `registers`: see `workerProperties`. Its files hold passwords: nobody else may read them. */
export function startPeer(
  run: Run,
  jars: PeerJars,
  place: PeerPlace,
  options: { step: string; connectors: readonly Properties[]; registers: boolean },
): Worker {
  const { step, connectors, registers } = options;
  const dir = join(run.stackDir, PEER_DIR);
  mkdirSync(dir, { recursive: true });
  const write = (name: string, properties: Properties) => {
    const file = join(dir, `${name}.properties`);
    writeFileSync(file, toPropertiesText(properties), { mode: 0o600 });
    return file;
  };
  const files = [
    write(`${place.run}-worker`, workerProperties(place, registers)),
    ...connectors.map((connector) => write(String(connector.name), connector)),
  ];
  const logFile = join(run.stackDir, 'logs', `${place.run}-${step}.log`);
  const worker = toWorker(
    'peer',
    startChild(
      'the peer',
      [
        findJava(),
        ...jvmOptions,
        '-Djava.awt.headless=true',
        `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'log4j2.properties')}`,
        ...['-cp', `${jars.connect}/*`, 'org.apache.kafka.connect.cli.ConnectStandalone', ...files],
      ],
      { env: run.env, logFile },
    ),
  );
  // A task that has failed leaves its worker running.
  let failed: string | null = null;
  const stopping = new AbortController();
  const names = connectors.map(({ name }) => String(name));
  const looking = look(place.restPort, names, stopping.signal, (what) => (failed = what));
  return {
    ...worker,
    assertRunning() {
      worker.assertRunning();
      if (failed !== null) throw new CrosswalkError('unexpected.log', `the peer: ${failed}`, { file: logFile });
    },
    async stop() {
      stopping.abort();
      await looking;
      await worker.stop();
    },
  };
}

async function look(port: number, names: readonly string[], signal: AbortSignal, onFailed: (what: string) => void) {
  interface Status {
    readonly connector?: { readonly state: string };
    readonly tasks?: readonly { readonly state: string }[];
  }
  while (!signal.aborted) {
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    for (const name of names) {
      try {
        const address = `http://127.0.0.1:${port}/connectors/${name}/status`;
        const answer = await fetch(address, { signal: AbortSignal.any([signal, AbortSignal.timeout(2000)]) });
        const { connector, tasks = [] } = (await answer.json()) as Status;
        if ([connector, ...tasks].some((each) => each?.state === 'FAILED')) onFailed(`${name} has failed`);
      } catch {
        // It does not answer yet, or is busy.
      }
    }
  }
}
