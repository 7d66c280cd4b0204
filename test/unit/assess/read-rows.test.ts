import { expect, test } from 'vitest';
import { toProblem } from '../../../assess/read-only.ts';
import { toRowPlan } from '../../../assess/read-rows.ts';

test.each([
  ['22P02', 'PostgreSQL refused it (SQLSTATE 22P02)'],
  ['57014', 'it took longer than 15 s'],
  ['55P03', 'somebody held a lock for more than 2 s'],
  ['42501', 'the role may not read it, or policies hide rows from it'],
])('what PostgreSQL refuses with %s is told without its message, which may quote a value', (code, problem) => {
  expect(toProblem(Object.assign(new Error('invalid input: "12015550123"'), { code }), 15_000)).toBe(problem);
});

test.each([
  [Object.assign(new Error('gone'), { code: '57P01' })],
  [Object.assign(new Error('gone'), { code: '08006' })],
  [Object.assign(new Error('gone'), { code: 'ECONNRESET' })],
  [new TypeError('a mistake')],
  [null],
])('what is not about a statement is no problem of a table: %s', (error) => {
  expect(toProblem(error, 15_000)).toBeNull();
});

test.each([
  ['a small table is read whole, but not without end', { rows: 100, bytes: 1e9 }, { kind: 'all', most: 2000 }],
  ['a large one by a sample', { rows: 1001, bytes: 1e9 }, { kind: 'sample', rows: 1000, ofRows: 1001 }],
  [
    'one that nobody analysed by what its size lets expect',
    { rows: null, bytes: 2e6 },
    { kind: 'sample', rows: 1000, ofRows: 10_000 },
  ],
  ['an empty one', { rows: null, bytes: null }, { kind: 'all', most: 2000 }],
])('%s', (_, table, plan) => {
  expect(toRowPlan(table, { full: false, sampleRows: 1000 })).toEqual(plan);
  expect(toRowPlan(table, { full: true, sampleRows: 1000 })).toEqual({ kind: 'all', most: Number.POSITIVE_INFINITY });
});
