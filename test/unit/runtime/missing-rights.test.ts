import { describe, expect, test } from 'vitest';
import { useOf } from '../../../runtime/address-use.ts';
import { type RefusedLogin, toCrosswalkError, toErrorLine } from '../../../runtime/errors.ts';
import { parseConfig } from '../../support/crm.ts';

const urlOf = (user: string) => `postgres://${user}:hidden@missing-rights:5432/crm`;

describe('the operators’ address', () => {
  test('is one of its own', () => {
    const config = parseConfig({ TARGET_DATABASE_URL: urlOf('a'), TARGET_OPERATOR_URL: urlOf('b') });
    expect([config.targetOperatorUrl(), config.targetUrl()]).toEqual([urlOf('b'), urlOf('a')]);
  });

  test('is that of the projectors where it is not set', () => {
    expect(parseConfig({ TARGET_DATABASE_URL: urlOf('a') }).targetOperatorUrl()).toBe(urlOf('a'));
    expect(() => parseConfig({}).targetOperatorUrl()).toThrow('TARGET_DATABASE_URL is not set');
  });

  test('is checked at the start', () => {
    expect(() => parseConfig({ TARGET_OPERATOR_URL: 'nonsense' })).toThrow(/TARGET_OPERATOR_URL/);
  });
});

describe('what an address is used for', () => {
  test('is known once it was asked for', () => {
    const url = urlOf('c');
    const config = parseConfig({ TARGET_DATABASE_URL: url });
    expect(useOf(url)).toBeNull();
    config.targetUrl();
    expect(useOf(url)).toEqual({ wanted: 'TARGET_DATABASE_URL', from: 'TARGET_DATABASE_URL' });
  });

  test('is the one whose setting is missing, of several', () => {
    const url = urlOf('d');
    const config = parseConfig({ TARGET_DATABASE_URL: url });
    config.targetUrl();
    config.targetOwnerUrl();
    config.targetUrl();
    expect(useOf(url)).toEqual({ wanted: 'TARGET_OWNER_URL', from: 'TARGET_DATABASE_URL' });
  });
});

describe('a right that is missing', () => {
  const lineOf = (refusedLogin?: RefusedLogin, wrap = (error: Error) => error) => {
    const error = Object.assign(new Error('permission denied for table gate'), { code: '42501', refusedLogin });
    return toErrorLine(toCrosswalkError(wrap(error), 'target database h:5432/crm'));
  };
  const begin = 'target database h:5432/crm: permission denied for table gate';

  test.each([
    [
      'names user and setting',
      { user: 'ann', wanted: 'TARGET_OPERATOR_URL', from: 'TARGET_OPERATOR_URL' },
      `${begin}, as ann of TARGET_OPERATOR_URL. Have TARGET_OPERATOR_URL name a login that is a member of crosswalk_operator;`,
    ],
    [
      'names the setting that is missing',
      { user: 'crosswalk_project', wanted: 'TARGET_OPERATOR_URL', from: 'TARGET_DATABASE_URL' },
      `${begin}, as crosswalk_project of TARGET_DATABASE_URL, since TARGET_OPERATOR_URL is not set. Set TARGET_OPERATOR_URL to a login that is a member of crosswalk_operator;`,
    ],
    ['names the user of an address that no setting holds', { user: 'bob' }, `${begin}, as bob. Grant bob the right`],
    ['says what the server says where nobody knows the connection', undefined, `${begin}. Grant the right`],
  ] as const)('%s', (_, login, line) => {
    expect(lineOf(login)).toContain(line);
    expect(lineOf(login)).toContain('docs/operations.md, "Rights"');
  });

  test('is found inside of what a library made of it', () => {
    const login = { user: 'ann' };
    expect(lineOf(login, (cause) => Object.assign(new Error(cause.message, { cause }), { code: '42501' }))).toContain(
      'as ann',
    );
  });
});
