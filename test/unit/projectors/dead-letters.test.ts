import { describe, expect, it } from 'vitest';
import { toListLines, toRedriveLines } from '../../../cli/commands/dlq.ts';
import { parseLetterId, parseLetterIds, toLetterId } from '../../../projectors/dead-letters/letter-id.ts';

describe('the id of a dead letter', () => {
  const id = { projection: 'contacts', topic: 'legacy.public.a/b@c', partition: 3, offset: '9007199254740993' };

  it('names it and is read back', () => {
    expect(toLetterId(id)).toBe('contacts:legacy.public.a/b@c/3@9007199254740993');
    expect(parseLetterId(toLetterId(id))).toEqual(id);
    const other = { ...id, offset: '7' };
    expect(parseLetterIds([id, other, id].map(toLetterId))).toEqual([id, other]);
    expect(parseLetterIds(['contacts', 'legacy.public.a/b@c/3@9007199254740993'])).toEqual([id]);
  });

  it.each(['', 'contacts', 'contacts:t/1', ':t/1@2', 'contacts:t/x@2', 'contacts:t/1@-2'])('%j is none', (text) => {
    expect(() => parseLetterId(text)).toThrow('is no dead letter');
  });
});

describe('what is printed', () => {
  it('of rows that are too large for the log says that they cannot be redriven', () => {
    const letter = {
      ...{ topic: 't', table: 'public.contacts', key: 'k1', op: 'u' as const, commitLsn: '0/1', ordinal: 1, xid: '7' },
      ...{ bytes: 20_000_000, limit: 1_000_000, committedMicros: '0' },
    };
    const text = toListLines([], [], { letters: [letter] }, false).join('\n');
    expect(text).toContain('Open dead letters: 0');
    expect(text).toMatch(/Rows too large for the log: 1\. They cannot be redriven: make the row smaller/);
    expect(text).toMatch(/public\.contacts +key k1 +20\.0 MB of at most 1\.0 MB +at 0\/1/);
    expect(toListLines([], [], { problem: 'Kafka: down' }, false).join('\n')).toContain('unknown (Kafka: down)');
  });

  it('of a redrive says what stays and why', () => {
    const left = new Map([
      ['23503 leads', 2],
      ['map threw TypeError', 30],
    ]);
    expect(toRedriveLines({ selected: 1040, applied: 1000, overtaken: 3, held: 5, left }, false)).toEqual([
      'Of 1,040 dead letters 1,000 were applied',
      '  3 are obsolete: a later version of their row was applied',
      '  5 stay: other changes of their rows are waiting, redrive again once those are applied',
      '  30 stay: map threw TypeError',
      '  2 stay: 23503 leads',
    ]);
  });
});
