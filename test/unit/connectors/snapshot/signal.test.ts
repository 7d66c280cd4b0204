import { expect, test } from 'vitest';
import {
  encodeSignal,
  MOST_SIGNAL_BYTES,
  parseSignal,
  type SnapshotSignal,
  toKeyText,
} from '../../../../connectors/snapshot/signal.ts';

const id = '6f0f1f0e-3d6b-4c5e-9a55-0123456789ab';
const snapshot: SnapshotSignal = {
  v: 1,
  id,
  kind: 'snapshot',
  table: 'docs',
  where: null,
  keys: [['1', 'ü']],
  repair: true,
  hints: JSON.parse('{"[\\"1\\",\\"ü\\"]":{"rows":{"contacts":["7"]}},"constructor":{"rows":{}},"__proto__":{}}'),
  by: 'somebody',
  at: '2026-01-01T00:00:00.000Z',
};
const parse = (value: object) => parseSignal(Buffer.from(JSON.stringify(value)));

test('a signal is read as it was written', () => {
  expect(parseSignal(encodeSignal(snapshot))).toEqual({ is: 'signal', signal: snapshot });
  for (const kind of ['pause', 'resume', 'cancel'] as const)
    expect(parseSignal(encodeSignal({ v: 1, id, kind }))).toEqual({ is: 'signal', signal: { v: 1, id, kind } });
  for (const kind of ['pause-load', 'resume-load'] as const)
    expect(parseSignal(encodeSignal({ v: 1, id, kind }))).toEqual({ is: 'signal', signal: { v: 1, id, kind } });
  const slow = { ...snapshot, maxRate: 500 };
  expect(parseSignal(encodeSignal(slow))).toEqual({ is: 'signal', signal: slow });
});

test.each([
  [Buffer.from('{'), 'it is no JSON'],
  [Buffer.from([0xff, 0xfe]), 'it is no JSON'],
  [null, 'it is empty'],
  [Buffer.from('null'), 'it has no id or no kind'],
  [Buffer.from('[]'), 'it has no id or no kind'],
  [Buffer.from(JSON.stringify({ ...snapshot, id: 'x' })), 'it has no id or no kind'],
  [Buffer.from(JSON.stringify({ ...snapshot, v: 2 })), 'it has another version than 1'],
  [Buffer.from(JSON.stringify({ v: 1, id, kind: 'explode' })), 'its kind is not known'],
  [Buffer.alloc(MOST_SIGNAL_BYTES + 1, 32), `it is longer than ${MOST_SIGNAL_BYTES} bytes`],
])('what is none is unknown: %s', (value, reason) => {
  expect(parseSignal(value)).toEqual({ is: 'unknown', reason });
});

test('a snapshot that cannot be made is refused by its id, and nothing of it is quoted but names', () => {
  const refused = (changes: object) => {
    const read = parse({ ...snapshot, ...changes });
    expect(read).toMatchObject({ is: 'refused', id, table: 'docs' });
    return (read as { reason: string }).reason;
  };
  expect(refused({ where: 'a', keys: [['1']] })).toBe('the signal names a condition and keys: it can have one of them');
  expect(refused({ keys: [] })).toContain('keys');
  expect(refused({ keys: Array.from({ length: 1001 }, () => ['1']) })).toContain('keys');
  expect(refused({ keys: [['1'], [2]] })).toContain('keys');
  expect(refused({ other: 1 })).toContain('other');
  for (const maxRate of [0, -1, 0.5, '5', null]) expect(refused({ maxRate })).toContain('maxRate');
  expect(refused({ hints: { secret: 'text' } })).not.toContain('secret');
});

test('what the position would hold of a signal is short, whatever the signal holds', () => {
  const long = 'x'.repeat(100_000);
  const unknown = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`${at}${'x'.repeat(100)}`, 1]));
  for (const changes of [{ table: long }, { table: long, where: '' }, { [long]: 1 }, unknown, { keys: [[long]] }]) {
    const read = parse({ ...snapshot, ...changes });
    expect(read).toMatchObject({ is: 'refused', id });
    const { table, reason } = read as { table: string; reason: string };
    expect(table.length).toBeLessThanOrEqual(63);
    expect(reason.length).toBeLessThanOrEqual(300);
    expect(reason).toMatch(/^the signal is not valid: /);
  }
  expect(parse({ ...snapshot, keys: [['x'.repeat(7000)]] })).toMatchObject({ is: 'signal' });
  expect(parse({ ...snapshot, keys: [['\u0001'.repeat(7000)]] })).toMatchObject({
    reason: 'the signal is not valid: keys hold one of more than 8000 bytes',
  });
});

test('a hint that could not be written again is refused', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  for (const hints of [
    `{"1":${deep}}`,
    `{"1":{"rows":${deep}}}`,
    `{"1":{"rows":{"t":${deep}}}}`,
    `{"1":{"a":{"t":[${deep}]}}}`,
  ]) {
    const text = JSON.stringify({ ...snapshot, hints: 0 }).replace('"hints":0', `"hints":${hints}`);
    const read = parseSignal(Buffer.from(text));
    expect(read).toMatchObject({ is: 'refused', id, reason: expect.stringMatching(/^the signal is not valid: hints/) });
  }
});

test('the text of a key is that of its only column, or a JSON array', () => {
  expect([toKeyText(['a"b']), toKeyText(['1', 'x'])]).toEqual(['a"b', '["1","x"]']);
});
