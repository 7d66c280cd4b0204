import { describe, expect, test } from 'vitest';
import { type HistoryRow, parseHistoryLine, UNCHANGED } from '../../oracle/log-history-text.ts';

const rowOf = (line: string, side: 'old' | 'new' = 'new'): Record<string, unknown> => {
  const parsed = parseHistoryLine(line) as { old: HistoryRow | null; new: HistoryRow | null };
  return Object.fromEntries(parsed[side]!);
};

describe('a line of test_decoding', () => {
  test.each([
    ['BEGIN 769', 'begin'],
    ['COMMIT 769', 'commit'],
    ['message: transactional: 1 prefix: x, sz: 22 content:table public.a: INSERT:', 'message'],
  ])('%s', (line, kind) => {
    expect(parseHistoryLine(line)).toEqual({ kind });
  });

  test('insert: quoted text, doubled quotes, line breaks, what looks like another part', () => {
    const line = `table public.docs: INSERT: id[integer]:1 label[text]:'it''s\n new-tuple: x[text]:''y''' empty[text]:'' last[character varying]:''''`;
    expect(parseHistoryLine(line)).toMatchObject({ kind: 'insert', schema: 'public', table: 'docs', old: null });
    expect(rowOf(line)).toEqual({ id: '1', label: "it's\n new-tuple: x[text]:'y'", empty: '', last: "'" });
  });

  test('names and types with quotes, brackets, colons and dots', () => {
    const line = `table "we "" ird"."t a.b: INSERT:": INSERT: "k ]:"[text]:'a' e["we ird"."en ]u""m"]:'c]:' tags[text[]]:'{a,"b ]"}' "old-key:"[timestamp with time zone]:'2026-01-01 00:00:00+00' d[double precision]:-1.5e-07`;
    expect(parseHistoryLine(line)).toMatchObject({ schema: 'we " ird', table: 't a.b: INSERT:' });
    expect(rowOf(line)).toEqual({
      'k ]:': 'a',
      e: 'c]:',
      tags: '{a,"b ]"}',
      'old-key:': '2026-01-01 00:00:00+00',
      d: '-1.5e-07',
    });
  });

  test('values without quotes in PostgreSQL’s own text', () => {
    const line = `table public.t: INSERT: a[boolean]:true b[boolean]:false c[bit]:B'1010' d[numeric]:NaN e[text]:null f[text]:'null' g[boolean]:null h[bit varying]:B''`;
    expect(rowOf(line)).toEqual({ a: 't', b: 'f', c: '1010', d: 'NaN', e: null, f: 'null', g: null, h: '' });
  });

  test('update with and without its old row, unchanged values outside of the row', () => {
    const line = `table public.t: UPDATE: old-key: id[integer]:1 big[text]:'x' new-tuple: id[integer]:2 big[text]:unchanged-toast-datum n[text]:'unchanged-toast-datum'`;
    expect(rowOf(line, 'old')).toEqual({ id: '1', big: 'x' });
    expect(rowOf(line)).toEqual({ id: '2', big: UNCHANGED, n: 'unchanged-toast-datum' });
    expect(parseHistoryLine('table public.t: UPDATE: id[integer]:1')).toMatchObject({ kind: 'update', old: null });
    expect(rowOf('table public.t: UPDATE: old-key: new-tuple: id[integer]:1', 'old')).toEqual({});
    expect(parseHistoryLine('table public.t: UPDATE: (no-tuple-data)')).toMatchObject({ old: null, new: null });
  });

  test('delete, with and without a row', () => {
    expect(rowOf(`table public.t: DELETE: id[integer]:1`, 'old')).toEqual({ id: '1' });
    expect(parseHistoryLine('table public.t: DELETE: (no-tuple-data)')).toMatchObject({ kind: 'delete', old: null });
  });

  test('TRUNCATE of several tables', () => {
    expect(parseHistoryLine('table public.a, "B c".d: TRUNCATE: restart_seqs cascade')).toEqual({
      kind: 'truncate',
      tables: [
        { schema: 'public', table: 'a' },
        { schema: 'B c', table: 'd' },
      ],
    });
  });

  test.each([
    'something else',
    'table public.t: UPSERT: id[integer]:1',
    'table public.t: INSERT: id[integer]:secret-1 x',
    `table public.t: INSERT: id[text]:'secret`,
    `table public.t: INSERT: id[text:'secret'`,
    'table public.t: DELETE: (no-tuple-data) id[integer]:1',
  ])('anything else is refused without its values: %s', (line) => {
    expect(() => parseHistoryLine(line)).toThrow(/^not a line of test_decoding: expected .* at \d+ of \d+$/);
    expect(() => parseHistoryLine(line)).not.toThrow(/secret/);
  });
});
