import { expect, test } from 'vitest';
import { toRestoreAddress } from '../../../cli/restore-address.ts';
import { parseConfig } from '../../support/crm.ts';

const none = { restoreUrl: null };

test('the address of the option comes first, then that of the environment', () => {
  const { restoreUrl } = parseConfig({ RESTORE_DATABASE_URL: 'postgres://me:secret@there/empty' });
  const given = 'postgresql://me@here:5433/empty?sslmode=verify-full';
  expect(toRestoreAddress('--into', given, { restoreUrl })).toBe(given);
  expect(toRestoreAddress('--into', undefined, { restoreUrl })).toBe('postgres://me:secret@there/empty');
  expect(toRestoreAddress('--into', undefined, none)).toBeNull();
});

test.each([
  ['postgres://me:s%40cret@here/empty', 'has a password in it'],
  ['postgres://here/empty?user=me&password=s%40cret', 'has a password in it'],
  ['mysql://me:s%40cret@here/empty', 'is no address'],
  ['me:s%40cret', 'is no address'],
])('%s is refused: it %s; the message does not show it', (text, why) => {
  let thrown: unknown;
  try {
    toRestoreAddress('--into', text, none);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'config_invalid', message: expect.stringContaining(`--into ${why}`) });
  const { message, remedy } = thrown as { message: string; remedy: string };
  expect(message + remedy).not.toMatch(/cret/);
});
