import { expect, test } from 'vitest';
import { countTests, describeFailures } from '../count-tests.ts';

const file = (status: string, ...statuses: string[]) => ({
  name: 'file',
  status,
  assertionResults: statuses.map((result) => ({ status: result })),
});

test.each([
  ['adds up all files', [file('passed', 'passed', 'passed'), file('passed', 'passed')], 0, [3, 0, 0]],
  ['counts failed tests once, not their file again', [file('failed', 'passed', 'failed', 'failed')], 1, [1, 2, 0]],
  ['counts skipped, pending and to-do tests', [file('passed', 'passed', 'skipped', 'pending', 'todo')], 0, [1, 0, 3]],
  ['counts a file that cannot be loaded', [file('failed'), file('passed', 'passed')], 1, [1, 1, 0]],
  ['counts a hook that fails after its tests', [file('failed', 'passed')], 1, [1, 1, 0]],
  ['counts an error outside of every file', [file('passed', 'passed')], 1, [1, 1, 0]],
  ['counts a run without a test that ran', [file('passed', 'skipped')], 0, [0, 1, 1]],
  ['counts a run without a file', [], 0, [0, 1, 0]],
] as const)('%s', (_, testResults, exitCode, [passed, failed, skipped]) => {
  expect(countTests({ testResults }, exitCode)).toEqual({ passed, failed, skipped });
});

test('names what failed, and the beginning of why', () => {
  const assertionResults = [
    { status: 'passed', fullName: 'good' },
    { status: 'failed', fullName: 'bad', failureMessages: [`expected 1\n${'x'.repeat(5000)}`] },
  ];
  const described = describeFailures({
    testResults: [
      { name: `${process.cwd()}/a.test.ts`, status: 'failed', assertionResults },
      { name: `${process.cwd()}/b.test.ts`, status: 'failed', message: 'cannot be loaded', assertionResults: [] },
      { name: `${process.cwd()}/c.test.ts`, status: 'passed', assertionResults: [] },
    ],
  });
  expect(described.map((text) => text.split('\n').slice(0, 2))).toEqual([
    ['a.test.ts > bad', 'expected 1'],
    ['b.test.ts', 'cannot be loaded'],
  ]);
  expect(described[0]!.length).toBeLessThan(2000);
});

test('counts a crash that left no report', () => {
  expect(countTests(null, 134)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countTests(null, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});
