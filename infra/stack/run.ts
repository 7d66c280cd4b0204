// Runs the stack in the foreground until SIGINT or SIGTERM: node infra/stack/run.ts --dir <folder> [--fresh]
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openStack } from './stack.ts';

const { values } = parseArgs({ options: { dir: { type: 'string' }, fresh: { type: 'boolean', default: false } } });
if (values.dir === undefined) {
  console.error('usage: run.ts --dir <folder> [--fresh]');
  process.exit(2);
}
const envFile = join(values.dir, 'env');
rmSync(envFile, { force: true });

const interrupted = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
});
const begin = performance.now();
try {
  const stack = await openStack({
    dir: values.dir,
    env: process.env,
    keepData: !values.fresh,
    log: (line) => console.error(line),
  });
  const lines = [
    `LEGACY_DATABASE_URL=${stack.legacyUrl}`,
    `TARGET_DATABASE_URL=${stack.targetUrl}`,
    `KAFKA_BROKERS=${stack.kafkaBrokers}`,
    `SCHEMA_REGISTRY_URL=${stack.registryUrl}`,
  ];
  writeFileSync(envFile, `${lines.join('\n')}\n`, { mode: 0o600 });
  console.log(lines.join('\n'));
  console.error(`Up after ${((performance.now() - begin) / 1000).toFixed(1)} s; Ctrl-C stops the servers`);
  const keepAlive = setInterval(() => {}, 60_000);
  await interrupted;
  clearInterval(keepAlive);
  rmSync(envFile, { force: true });
  await stack.close();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
