import { describe, expect, it } from 'vitest';
import { toLogChecks, toTopicChecks, toWalChecks } from '../../../monitor/checks.ts';

describe('toWalChecks', () => {
  const look = (safeBytes: bigint | null, atMs: number) => ({ safeBytes, atMs });
  const check = (limitMb: number, before: bigint | null, now: bigint | null) =>
    toWalChecks({ limitMb, before: look(before, 0), now: look(now, 1000), retainedBytes: 5_000_000n });
  it.each([
    ['no limit', -1, null, null, 'warning', /unlimited.*holds 5\.0 MB.*/],
    ['at rest', 1000, 900_000_000n, 900_000_000n, 'ok', /900\.0 MB are left.*at no rate/],
    ['a slot that moves on', 1000, 800_000_000n, 900_000_000n, 'ok', /at no rate/],
    ['days to go', 100_000, 90_000_000_100n, 90_000_000_000n, 'ok', /hours at the rate/],
    ['an hour to go', 1000, 901_000_000n, 900_000_000n, 'warning', /15 minutes at the rate of now \(1\.0 MB\/s\)/],
    ['minutes to go', 1000, 910_000_000n, 900_000_000n, 'failing', /90 s at the rate/],
    ['none left', 1000, 1_000n, -5n, 'failing', /nothing is left/],
  ] as const)('%s', (_, limit, before, now, state, what) => {
    const [found, ...more] = check(limit, before, now);
    expect(more).toEqual([]);
    expect(found).toMatchObject({ state, what: expect.stringMatching(what) });
    if (state !== 'ok') expect(found!.remedy).toMatch(/max_slot_wal_keep_size/);
  });
  it('says nothing of a slot that is not there', () => {
    expect(check(1000, null, null)).toEqual([]);
  });
});

describe('toTopicChecks', () => {
  const config = { 'retention.ms': '-1', 'cleanup.policy': 'delete', 'max.message.bytes': '1000' };
  const wanted = [{ topic: 't', partitions: 3, config }];
  const states = (partitions: number, found: Record<string, string>) =>
    toTopicChecks(wanted, new Map([['t', { partitions, replicas: 1, config: { ...config, ...found } }]])).map(
      (check) => check.state,
    );
  it('knows what must be and what should', () => {
    expect(states(3, {})).toEqual(['ok']);
    expect(states(4, {})).toEqual(['failing']);
    expect(states(3, { 'retention.ms': '604800000' })).toEqual(['failing']);
    expect(states(3, { 'cleanup.policy': 'compact' })).toEqual(['failing']);
    expect(states(3, { 'max.message.bytes': '999' })).toEqual(['warning']);
    expect(states(3, { 'max.message.bytes': '2000' })).toEqual(['ok']);
    expect(toTopicChecks(wanted, new Map())).toMatchObject([{ state: 'warning' }]);
  });
  it('knows what changes or refuses records', () => {
    expect(states(3, { 'message.timestamp.after.max.ms': '3600000' })).toEqual(['failing']);
    expect(states(3, { 'message.timestamp.difference.max.ms': '3600000' })).toEqual(['failing']);
    expect(states(3, { 'message.timestamp.after.max.ms': '9223372036854775807' })).toEqual(['ok']);
    expect(states(3, { 'min.insync.replicas': '2' })).toEqual(['warning']);
    expect(states(3, { 'min.insync.replicas': '1' })).toEqual(['ok']);
    expect(states(3, { 'unclean.leader.election.enable': 'true' })).toEqual(['warning']);
    const made = [
      { topic: 't', partitions: 1, config: { 'compression.type': 'producer', 'message.timestamp.type': 'CreateTime' } },
    ];
    const check = (is: Record<string, string>) =>
      toTopicChecks(made, new Map([['t', { partitions: 1, replicas: 1, config: is }]])).map(({ state }) => state);
    for (const name of ['producer', 'zstd']) expect(check({ 'compression.type': name })).toEqual(['ok']);
    for (const name of ['lz4', 'snappy', 'gzip', 'uncompressed'])
      expect(check({ 'compression.type': name })).toEqual(['warning']);
    expect(check({ 'message.timestamp.type': 'LogAppendTime' })).toEqual(['warning']);
  });
});

describe('toLogChecks', () => {
  const stored = (nextOffset: bigint) => [{ projection: 'p', topic: 't', partition: 0, nextOffset }];
  const offsets = (low: bigint, high: bigint) => new Map([['t', [{ low, high }]]]);
  it('tells a whole log from a cut one, and from one that lost its end', () => {
    expect(toLogChecks(offsets(0n, 9n), stored(4n))).toMatchObject([{ state: 'ok' }]);
    expect(toLogChecks(offsets(3n, 9n), stored(4n))).toMatchObject([{ state: 'warning' }]);
    expect(toLogChecks(offsets(5n, 9n), stored(4n))).toMatchObject([
      { state: 'failing', what: 't/0 holds offsets 5 to 9, projection p goes on at 4' },
    ]);
    expect(toLogChecks(offsets(0n, 3n), stored(4n))).toMatchObject([
      { state: 'failing', remedy: expect.stringContaining('Restoring') },
    ]);
  });
});
