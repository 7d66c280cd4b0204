// Events and the position that they reach are in one Kafka transaction, however many sends it takes.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Position } from '../../../connectors/position.ts';
import { createPublisher } from '../../../connectors/publish.ts';
import { createKafka, type LogWriter, type OutRecord } from '../../../runtime/kafka.ts';
import { createLog } from '../../../runtime/log.ts';
import { AvroWriter } from '../../../schemas/avro/avro-writer.ts';
import { kafkaSettings } from '../../support/kafka-client.ts';
import { readCommitted } from '../../support/read-log.ts';
import { stackAddresses } from '../../support/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

const id = `publish_${randomBytes(4).toString('hex')}`;
const [events, positions] = [`${id}.events`, `${id}.positions`];
const position: Omit<Position, 'offsets'> = {
  bound: { systemId: '', timeline: 1, database: '', slot: '', clusterId: '' },
  lsn: 100n,
  sourceMicros: 0n,
  unseenXids: [],
  snapshot: {},
};
let writer: LogWriter;
const calls: string[] = [];

beforeAll(async () => {
  const kafka = createKafka(kafkaSettings(stackAddresses().kafkaBrokers), createLog('silent'));
  await kafka.ensureTopics(
    [events, positions].map((topic) => ({ topic, partitions: 1, replicationFactor: 1, config: {} })),
  );
  writer = await kafka.createLogWriter(id, 30_000);
});
afterAll(() => writer?.close());

/** A publisher that begins at the start of the topic. */
const publisherOf = (to: LogWriter, slabs?: AvroWriter) =>
  createPublisher(to, {
    positionTopic: positions,
    positionKey: 'slot',
    offsets: { [events]: ['0'] },
    limits: new Map(),
    timeoutMs: 30_000,
    ...(slabs === undefined ? {} : { slabs }),
  });

test('in one, with each send after the one before', async () => {
  const watched: LogWriter = {
    begin: () => {
      calls.push('begin');
      return writer.begin();
    },
    send: (records) => {
      calls.push(`send ${[...records.keys()].map((topic) => topic.split('.')[1]).join()}`);
      return writer.send(records);
    },
    commit: () => {
      calls.push('commit');
      return writer.commit();
    },
    abort: () => writer.abort(),
    close: () => writer.close(),
  };
  const publisher = publisherOf(watched);
  for (let transaction = 1; transaction <= 2; transaction++) {
    for (let record = 0; record < 3; record++) {
      const value = randomBytes(400_000);
      publisher.append(events, { partition: 0, key: Buffer.from('k'), value, timestampMs: '0' });
    }
    expect(publisher.isFull()).toBe(true);
    await publisher.flush();
    publisher.append(events, { partition: 0, key: Buffer.from('k'), value: null, timestampMs: '0' });
    const reached = await publisher.commit(position);
    // A transaction's end takes an offset as well.
    expect(reached.offsets).toEqual({ [events]: [String(4 * transaction + transaction - 1)] });
  }
  const once = ['begin', 'send events', 'send events', 'send events', 'send positions', 'commit'];
  expect(calls).toEqual([...once, ...once]);
  const offsets = (await readCommitted(stackAddresses().kafkaBrokers, [events])).map(({ message }) => message.offset);
  expect(offsets).toEqual(['0', '1', '2', '3', '5', '6', '7', '8']);
});

/** A publisher, and each send: its topics, and the offsets that its position names. */
function watchSends() {
  const sends: string[] = [];
  const watched: LogWriter = {
    ...writer,
    send: (records) => {
      sends.push([...records.keys()].map((topic) => topic.split('.')[1]).join());
      return writer.send(records);
    },
  };
  const publisher = publisherOf(watched);
  const commitOne = async () => {
    publisher.append(events, { partition: 0, key: Buffer.from('k'), value: Buffer.from('v'), timestampMs: '0' });
    return (await publisher.commit(position)).offsets[events]![0]!;
  };
  return { sends, commitOne };
}

/** Offset behind the last record that readers see. */
const behindLast = async () => {
  const records = await readCommitted(stackAddresses().kafkaBrokers, [events]);
  return String(BigInt(records.at(-1)!.message.offset) + 1n);
};

test('the position is sent with the events once their offsets can be known, and names the right ones', async () => {
  const { sends, commitOne } = watchSends();
  for (let transaction = 0; transaction < 4; transaction++) expect(await commitOne()).toBe(await behindLast());
  expect(sends).toEqual(Array(4).fill(['events', 'positions']).flat());
  for (let transaction = 0; transaction < 3; transaction++) expect(await commitOne()).toBe(await behindLast());
  expect(sends.slice(8)).toEqual(Array(3).fill('events,positions'));
});

test('events at other offsets than expected are not committed, and the next session continues', async () => {
  const { sends, commitOne } = watchSends();
  for (let transaction = 0; transaction < 5; transaction++) await commitOne();
  expect(sends.at(-1)).toBe('events,positions');
  const kafka = createKafka(kafkaSettings(stackAddresses().kafkaBrokers), createLog('silent'));
  const stranger = await kafka.append(events, { key: Buffer.from('x'), value: Buffer.from('x') });
  await expect(commitOne()).rejects.toThrow('other offsets than expected');
  await writer.abort();
  expect(await behindLast()).toBe(String(stranger + 1n));
  const again = watchSends();
  for (let transaction = 0; transaction < 5; transaction++) expect(await again.commitOne()).toBe(await behindLast());
  expect(again.sends.at(-1)).toBe('events,positions');
});

/** Kafka, whose answers to sends are held back until they are let through, or lost. */
function holdAnswers() {
  const calls: string[] = [];
  const held: { records: ReadonlyMap<string, readonly OutRecord[]>; answer: (lost?: Error) => void }[] = [];
  const watched: LogWriter = {
    ...writer,
    send: async (records) => {
      calls.push(`send ${[...records.keys()].map((topic) => topic.split('.')[1]).join()}`);
      const letThrough = new Promise<Error | undefined>((resolve) => {
        held.push({ records, answer: resolve });
      });
      const answer = await writer.send(records);
      const lost = await letThrough;
      if (lost !== undefined) throw lost;
      calls.push('answer');
      return answer;
    },
    commit: () => {
      calls.push('commit');
      return writer.commit();
    },
  };
  const slabs = new AvroWriter();
  const publisher = publisherOf(watched, slabs);
  const append = (text: string) => {
    slabs.begin(1);
    slabs.text(text);
    publisher.append(events, { partition: 0, key: null, value: slabs.finish(), timestampMs: '0' });
  };
  return { publisher, append, calls, held };
}

test('more is gathered while Kafka answers, and is sent after that; the commit waits for every answer', async () => {
  const { publisher, append, calls, held } = holdAnswers();
  append('one');
  await publisher.flush();
  append('two');
  const second = publisher.flush();
  held[0]!.answer();
  await second;
  const committed = publisher.commit(position);
  held[1]!.answer();
  await waitUntil('the position is sent', () => held.length === 3);
  held[2]!.answer();
  await committed;
  expect(calls).toEqual(['send events', 'answer', 'send events', 'answer', 'send positions', 'answer', 'commit']);
});

test('a send whose answer is lost is thrown by what comes next, and nothing is committed', async () => {
  for (const next of ['flush', 'commit'] as const) {
    const { publisher, append, calls, held } = holdAnswers();
    append('one');
    await publisher.flush();
    held[0]!.answer(new Error('lost'));
    append('two');
    await expect(next === 'flush' ? publisher.flush() : publisher.commit(position)).rejects.toThrow('lost');
    expect(calls).toEqual(['send events']);
    await writer.abort();
  }
});

test('what is being sent is not written over, nor is what may still be on its way after a failure', async () => {
  for (const lost of [undefined, new Error('lost')]) {
    const { publisher, append, held } = holdAnswers();
    append('first');
    await publisher.flush();
    const [record] = held[0]!.records.get(events)!;
    const bytes = Buffer.from(record!.value!);
    const isThere = () => record!.value!.equals(bytes);
    append('other');
    const flushed = publisher.flush().catch(() => undefined);
    append('third');
    expect(isThere()).toBe(true);
    held[0]!.answer(lost);
    await flushed;
    append('fourth');
    held[1]?.answer();
    const again = publisher.flush().catch(() => undefined);
    if (lost === undefined) {
      await waitUntil('it is sent', () => held.length === 3);
      held[2]!.answer();
    }
    await again;
    // Two are at work by turns: what was sent is written over in the end.
    append('fifth');
    expect(isThere()).toBe(lost !== undefined);
    await writer.abort();
  }
});
