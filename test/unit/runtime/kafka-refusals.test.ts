import kafkajs from 'kafkajs';
// @ts-expect-error: a file of the library's own, without types.
import { createErrorFromCode } from 'kafkajs/src/protocol/error.js';
import { describe, expect, it } from 'vitest';
import { topicSpecs } from '../../../connectors/topics.ts';
import { CrosswalkError, toCrosswalkError } from '../../../runtime/errors.ts';
import { KafkaConnectionError, KafkaProtocolError } from '../../../runtime/kafka/direct/broker-errors.ts';
import { codecs } from '../../../runtime/kafka-codecs.ts';
import { RECORD_TIMES, spellRecordTimes, toTimeLimit, toTimeRefusal } from '../../../runtime/record-times.ts';
import { parseConfig } from '../../support/crm.ts';

/** The library's types have one parameter less. */
const KafkaJSNonRetriableError = kafkajs.KafkaJSNonRetriableError as unknown as new (
  error: Error,
  options: { cause: unknown },
) => Error;
const LIFTED = '9223372036854775807';
const before = 'message.timestamp.before.max.ms';
const after = 'message.timestamp.after.max.ms';
const either = 'message.timestamp.difference.max.ms';

/** As the library throws what a broker answers. */
const broken = (code: number) => {
  const cause = createErrorFromCode(code) as Error;
  return new KafkaJSNonRetriableError(cause, { cause });
};

describe('what a broker refuses until somebody acts', () => {
  it.each([
    [29, 'permission_denied'],
    [30, 'permission_denied'],
    [31, 'permission_denied'],
    [53, 'permission_denied'],
    [38, 'config_invalid'],
    [44, 'config_invalid'],
    [40, 'config_invalid'],
    [17, 'config_invalid'],
    [32, 'topic_misconfigured'],
    [76, 'topic_misconfigured'],
  ])('code %i is %s, and not tried again', (code, kind) => {
    for (const error of [broken(code), createErrorFromCode(code), new KafkaProtocolError(code)])
      expect(toCrosswalkError(error, 'Kafka')).toMatchObject({ code: kind, waits: false });
  });
  it('but not what is another answer soon', () => {
    const errorsOf = (code: number) => [createErrorFromCode(code), new KafkaProtocolError(code)];
    for (const error of [5, 6, 7, 14, 19, 20].flatMap(errorsOf))
      expect(toCrosswalkError(error, 'Kafka')).toMatchObject({ code: 'server_down', waits: true });
    for (const error of errorsOf(10)) expect(toCrosswalkError(error, 'Kafka')).toMatchObject({ code: 'unexpected' });
    // A newer writer, which ends this one's session: the caller starts over.
    for (const code of [47, 90])
      expect(toCrosswalkError(new KafkaProtocolError(code), 'Kafka')).toMatchObject({
        code: 'unexpected',
        waits: false,
      });
    const silent = new KafkaConnectionError('127.0.0.1:9092: no answer for 30000 ms');
    expect(toCrosswalkError(silent, 'Kafka')).toMatchObject({ code: 'server_down', waits: true });
  });
  it('nor a coordinator that is not found, which may be a right that is missing', () => {
    const error = Object.assign(new Error('Failed to find group coordinator'), {
      name: 'KafkaJSGroupCoordinatorNotFound',
    });
    expect(toCrosswalkError(error, 'Kafka')).toMatchObject({ waits: true, remedy: expect.stringContaining('rights') });
  });
  it('an error of our own is found in what the library wraps it in', () => {
    const own = new CrosswalkError('topic_misconfigured', 'message');
    expect(toCrosswalkError(new KafkaJSNonRetriableError(own, { cause: own }), 'Kafka')).toBe(own);
  });
});

describe('codecs', () => {
  it('numbers that mean nothing are refused, and none is taken for uncompressed', () => {
    for (const number of [5, 6, 7]) expect(() => codecs[number]!()).toThrow(`codec ${number}`);
    expect(Object.keys(codecs).map(Number)).toEqual([2, 3, 4, 5, 6, 7]);
  });
  it('snappy reads blocks behind their lengths, and a block alone; what is cut off is no record', async () => {
    const { compressSync } = await import('snappy');
    const blocks = [Buffer.from('one '), Buffer.from('two '.repeat(9000)), Buffer.alloc(0)];
    const parts = blocks.flatMap((block) => {
      const compressed = compressSync(block);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(compressed.length);
      return [length, compressed];
    });
    const header = Buffer.from('82534e41505059000000000100000001', 'hex');
    const framed = Buffer.concat([header, ...parts]);
    const snappy = codecs[2]!();
    expect((await snappy.decompress(framed)).equals(Buffer.concat(blocks))).toBe(true);
    expect((await snappy.decompress(compressSync(blocks[1]!))).equals(blocks[1]!)).toBe(true);
    for (const cut of [framed.subarray(0, framed.length - 2), framed.subarray(0, 18), Buffer.from('none')])
      await expect(snappy.decompress(cut)).rejects.toMatchObject({ code: 'topic_misconfigured', retriable: false });
  });
});

describe('times of records', () => {
  it('are not limited in any topic that is made, in the words of every version', () => {
    for (const { config } of topicSpecs(parseConfig({}))) {
      expect(config).toMatchObject(RECORD_TIMES);
      expect(spellRecordTimes(config)).toEqual([
        { ...config, [either]: LIFTED },
        config,
        {
          ...Object.fromEntries(Object.entries(config).filter(([name]) => name !== before && name !== after)),
          [either]: LIFTED,
        },
      ]);
    }
    expect(spellRecordTimes({ 'cleanup.policy': 'delete' })).toEqual([{ 'cleanup.policy': 'delete' }]);
  });
  it.each([
    [{ [before]: LIFTED, [after]: LIFTED }, null],
    [{}, null],
    [{ [before]: LIFTED, [after]: '3600000' }, `${after}=${LIFTED}`],
    [{ [before]: '5', [after]: '3600000' }, `${before}=${LIFTED},${after}=${LIFTED}`],
    [{ [either]: '5' }, `${either}=${LIFTED}`],
    [{ [either]: LIFTED }, null],
    [{ [after]: '5', 'message.timestamp.type': 'LogAppendTime' }, null],
  ])('%j', (config, added) => {
    const limit = toTimeLimit('t', config as Record<string, string>);
    expect(limit?.remedy ?? null).toBe(added && `Run kafka-configs --alter --topic t --add-config ${added}.`);
  });
  it('of several topics that with the narrowest limit is named', () => {
    const topics = new Map([
      ['a', { [after]: LIFTED }],
      ['b', { [after]: '3600000' }],
      ['c', { [before]: '10000' }],
    ]);
    expect(toTimeRefusal(topics)?.what).toContain('Topic c ');
    expect(toTimeRefusal(new Map([['a', {}]]))).toBe(null);
  });
});
