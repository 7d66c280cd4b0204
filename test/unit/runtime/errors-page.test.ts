import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listRemedies, toErrorsPage } from '../../../infra/errors-page.ts';
import { errorCodes, Failure } from '../../../runtime/error-codes.ts';
import { CrosswalkError } from '../../../runtime/errors.ts';

const root = join(import.meta.dirname, '../../..');

test('docs/errors.md is the table of codes: `npm run errors` makes it', () => {
  expect(readFileSync(join(root, 'docs/errors.md'), 'utf8')).toBe(toErrorsPage());
});

test('a remedy of the table names a section that there is', () => {
  const named = listRemedies().flatMap(({ remedy }) => [...remedy.matchAll(/(docs\/[\w-]+\.md), "([^"]+)"/g)]);
  expect(named.length).toBeGreaterThan(20);
  for (const [, page, section] of named)
    expect(readFileSync(join(root, page!), 'utf8'), section).toMatch(
      new RegExp(`^#+ ${section}|\\*\\*${section}`, 'm'),
    );
});

test('a remedy is one line, which ends a sentence or a statement', () => {
  for (const { code, remedy } of listRemedies()) expect(`${code}: ${remedy}`).toMatch(/^[^\n|]+[.?;4…›]$/);
});

test('an error has the remedy of its code', () => {
  expect(new CrosswalkError('stuck', 'Stuck').remedy).toBe(errorCodes.stuck.remedy);
  expect([new CrosswalkError('stalled', 'a').exitCode, new CrosswalkError('stuck', 'a').exitCode]).toEqual([3, 2]);
});

test('an error of a finer code has the policy of its code, and a remedy of its own, made of its facts', () => {
  const cause = new Error('why');
  const error = new CrosswalkError('config_invalid.setting', 'message', { setting: 'A', to: 'one of B', cause });
  expect(error).toMatchObject({ code: 'config_invalid', message: 'message', remedy: 'Set A to one of B.', cause });
  expect(new CrosswalkError('stalled.ends', 'a')).toMatchObject({ code: 'stalled', exitCode: 3, waits: false });
  expect(new CrosswalkError('server_down.again', 'a')).toMatchObject({ code: 'server_down', waits: true });
});

test('an error that says more than another one has its code and its remedy', () => {
  const { failure } = new CrosswalkError('process_ended.log', 'it ended', { file: 'a.log' });
  const more = new CrosswalkError(failure, 'a process: it ended');
  expect(more).toMatchObject({ code: 'process_ended', message: 'a process: it ended', remedy: 'Its log is a.log.' });
});

test('a remedy is written in the table and nowhere else: what `tsc` makes sure of', () => {
  const refused = (text: string) => [
    // @ts-expect-error A text is no remedy.
    () => new CrosswalkError('stuck', 'message', text),
    // @ts-expect-error Nor is one among the facts.
    () => new CrosswalkError('stuck', 'message', { remedy: text }),
    // @ts-expect-error Facts that the remedy needs are missing.
    () => new CrosswalkError('config_invalid.setting', 'message'),
    // @ts-expect-error One of them is missing.
    () => new CrosswalkError('config_invalid.setting', 'message', { setting: text }),
    // @ts-expect-error Not in the table.
    () => new CrosswalkError('config_invalid.nothing', 'message'),
    // @ts-expect-error Facts that the remedy needs are missing.
    () => Failure.of('config_invalid.setting'),
    // @ts-expect-error Only the table makes one.
    () => new Failure('stuck', text),
    // @ts-expect-error What looks like one is none.
    () => new CrosswalkError({ code: 'stuck', remedy: text }, 'message'),
  ];
  expect(refused('Do this.')).toHaveLength(8);
});
