import { expect, test } from 'vitest';
import { CrosswalkError } from '../../../runtime/errors.ts';
import { createPatience } from '../../../runtime/retry.ts';

const error = (code: CrosswalkError['code'], message = 'It failed') => new CrosswalkError(code, message);

test('what waiting heals is never counted, and does not count what lies around it', () => {
  const patience = createPatience();
  for (let time = 0; time < 1000; time++) expect(patience.failed(error('server_down'), 'a', 'here')).toBe(null);
  for (let time = 1; time < 6; time++) {
    expect(patience.failed(error('unexpected'), 'a', 'here')).toBe(null);
    expect(patience.failed(error('slot_busy'), 'a', 'here')).toBe(null);
  }
  expect(patience.failed(error('unexpected'), 'a', 'here')).toMatchObject({
    code: 'stuck',
    message: 'It failed: 6 times without getting any further, at here',
  });
});

test('progress begins the count anew, whatever the failure says', () => {
  const patience = createPatience();
  for (let time = 0; time < 100; time++)
    expect(patience.failed(error('unexpected', `request ${time}`), String(Math.floor(time / 5)), 'here')).toBe(null);
});

test('the same failure in other words is the same failure', () => {
  const patience = createPatience();
  const ends = Array.from({ length: 6 }, (_, time) =>
    patience.failed(error('unexpected', `request ${time}`), 'a', 'here'),
  );
  expect(ends.map((end) => end?.code)).toEqual([undefined, undefined, undefined, undefined, undefined, 'stuck']);
});

test('what a person must act on ends at once, and a transaction that is outlived twice is too long', () => {
  const patience = createPatience();
  const refused = error('source_changed');
  expect(patience.failed(refused, 'a', 'here')).toBe(refused);
  const other = createPatience();
  const long = error('transaction_too_long');
  expect(other.failed(long, 'a', 'here')).toBe(null);
  expect(other.failed(long, 'a', 'here')).toBe(long);
});
