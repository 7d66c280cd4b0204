import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { toErrorsPage } from '../../../infra/errors-page.ts';
import { errorCodes } from '../../../runtime/error-codes.ts';
import { CrosswalkError } from '../../../runtime/errors.ts';

const root = join(import.meta.dirname, '../../..');

test('docs/errors.md is the table of codes: `npm run errors` makes it', () => {
  expect(readFileSync(join(root, 'docs/errors.md'), 'utf8')).toBe(toErrorsPage());
});

test('a remedy of the table names a section that there is', () => {
  const named = Object.values(errorCodes).flatMap(({ remedy }) => [...remedy.matchAll(/(docs\/\w+\.md), "([^"]+)"/g)]);
  expect(named.length).toBeGreaterThan(5);
  for (const [, page, section] of named)
    expect(readFileSync(join(root, page!), 'utf8'), section).toMatch(
      new RegExp(`^#+ ${section}|\\*\\*${section}`, 'm'),
    );
});

test('an error has the next step of its code where it knows none of its own', () => {
  expect(new CrosswalkError('stuck', 'Stuck').remedy).toBe(errorCodes.stuck.remedy);
  expect(new CrosswalkError('stuck', 'Stuck', 'Do this.').remedy).toBe('Do this.');
  expect([new CrosswalkError('stalled', 'a').exitCode, new CrosswalkError('stuck', 'a').exitCode]).toEqual([3, 2]);
});
