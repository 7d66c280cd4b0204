import { describe, expect, test } from 'vitest';
import { toPositions, toRefusal } from '../../../cli/commands/backup-restore.ts';

describe('rows that a restore would replace', () => {
  const filled = { filled: ['crm.users', 'crm.leads'], database: 'crm' };
  test.each([
    ['nothing is said', {}],
    ['it is said once', { replace: true }],
    ['it is said once, the other way', { yesReally: 'crm' }],
    ['another database is named', { replace: true, yesReally: 'crm2' }],
  ])('are refused where %s', (_, options) =>
    expect(toRefusal(filled, options)).toMatchObject({ code: 'config_invalid' }),
  );
  test('go where it is said twice, and without a word where there are none', () => {
    expect(toRefusal(filled, { replace: true, yesReally: 'crm' })).toBe(null);
    expect(toRefusal({ ...filled, filled: [] }, {})).toBe(null);
    expect(toRefusal({ ...filled, filled: [] }, { yesReally: 'crm2' })).not.toBe(null);
  });
});

describe('positions that came back', () => {
  const offsets = [{ projection: 'p', topic: 't', partition: 0, nextOffset: 5n }];
  const of = (low: bigint, high: bigint) => toPositions(new Map([['t', [{ low, high }]]]), offsets);
  test('say how much of the log is applied again', () => {
    expect(of(0n, 12n)).toEqual([{ state: 'do', what: expect.stringMatching(/^the log holds all .*: 7 offsets/) }]);
  });
  test.each([
    ['the log was cut behind them', of(6n, 12n)],
    ['the topic is younger', of(0n, 4n)],
    ['the topic is not there', toPositions(new Map(), offsets)],
  ])('fail where %s', (_, steps) => {
    expect(steps.map(({ state }) => state)).toContain('failing');
    expect(steps.map(({ state }) => state)).not.toContain('do');
  });
});
