import { expect, test } from 'vitest';
import { parseFaults } from '../../../runtime/faults.ts';

test('a fault is a point, an action, and how often the point was reached', () => {
  expect(parseFaults('')).toEqual([]);
  expect(parseFaults('kafka_commit.before=kill@3,target_commit.after=stall:500')).toEqual([
    { point: 'kafka_commit.before', action: { kind: 'kill' }, nth: 3 },
    { point: 'target_commit.after', action: { kind: 'stall', ms: 500 }, nth: 1 },
  ]);
});

test.each([
  'kafka_commit=kill',
  'nowhere.before=kill',
  'kafka_commit.before',
  'kafka_commit.before=kill@0',
  'kafka_commit.before=stall',
])('%s is refused, with the points there are', (text) => {
  expect(() => parseFaults(text)).toThrow(
    expect.objectContaining({ code: 'config_invalid', remedy: expect.stringContaining('acknowledge.after') }),
  );
});
