import { expect, it } from 'vitest';
import {
  type PeerPlace,
  sinkProperties,
  sourceProperties,
  toPropertiesText,
  workerProperties,
} from '../../../bench/peer/peer-settings.ts';

const place: PeerPlace = {
  run: 'bench_peer',
  brokers: '127.0.0.1:9092',
  registryUrl: 'http://127.0.0.1:8080/apis/registry/v2',
  sourceUrl: 'postgres://post%40gres:p%2Fw%5C@127.0.0.1:5432/a_source',
  targetUrl: 'postgres://postgres:pw@127.0.0.1:5432/a_target',
  ...{ restPort: 8083, pluginDir: '/plugins', offsetFile: '/offsets' },
};

it('takes the parts of an address as they were before they were written into it', () => {
  expect(sourceProperties(place, 'throughput')).toMatchObject({
    ...{ 'database.user': 'post@gres', 'database.password': 'p/w\\', 'database.dbname': 'a_source' },
  });
  expect(sinkProperties(place)['connection.url']).toBe(
    'jdbc:postgresql://127.0.0.1:5432/a_target?reWriteBatchedInserts=true',
  );
});

it('has the sink read the topic that the source writes', () => {
  const { 'topic.prefix': prefix, 'table.include.list': table } = sourceProperties(place, 'throughput');
  expect(sinkProperties(place).topics).toBe(`${prefix}.${table}`);
});

it('gives a throw-away source a slot, a publication and a name of its own', () => {
  const [real, other] = [sourceProperties(place, 'throughput'), sourceProperties(place, 'throughput', '_register')];
  for (const name of ['name', 'slot.name', 'publication.name']) expect(other[name]).not.toBe(real[name]);
  expect(other['topic.prefix']).toBe(real['topic.prefix']);
});

it('registers schemas only where it is told to', () => {
  const name = 'value.converter.apicurio.registry.auto-register';
  expect([workerProperties(place, true)[name], workerProperties(place, false)[name]]).toEqual([true, false]);
});

it('writes values as a properties file reads them', () => {
  expect(toPropertiesText({ a: 'b\\c', n: 1, is: true })).toBe('a=b\\\\c\nn=1\nis=true\n');
});
