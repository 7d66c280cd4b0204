import { createRequire } from 'node:module';
import type kafkajs from 'kafkajs';
import { expect, test } from 'vitest';
import { toCrosswalkError } from '../../../runtime/errors.ts';
import { listTopics } from '../../../runtime/kafka/kafkajs.ts';

// The library's own admin, beside a cluster of which every broker has failed: it answers null then (`withBroker`).
const createAdmin = createRequire(import.meta.url)('kafkajs/src/admin') as (options: unknown) => kafkajs.Admin;

test('no broker that answers is a server that is down', async () => {
  const logger = { namespace: () => ({ error: () => undefined, debug: () => undefined, warn: () => undefined }) };
  const admin = createAdmin({
    logger,
    instrumentationEmitter: { emit: () => undefined, addListener: () => undefined },
    cluster: { metadata: async () => null },
    retry: { retries: 1 },
  });
  await expect(admin.listTopics()).rejects.toThrow(TypeError);
  const error = await listTopics(admin).catch((thrown: unknown) => toCrosswalkError(thrown, 'Kafka'));
  expect(error).toMatchObject({ code: 'server_down', waits: true });
});
