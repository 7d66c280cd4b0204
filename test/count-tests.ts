// Prints `passed failed skipped` of one run: node test/count-tests.ts <report of vitest's JSON reporter> <exit code of vitest> [file]
// What failed, and the beginning of why, is added to the file.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName?: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * Counts the tests of a report; null stands for a run that wrote none. What fails outside of a test counts as one failure: a file that
 * cannot be loaded, a hook, a set-up, a crash, and a run in which no test ran.
 */
export function countTests(report: Report | null, exitCode: number): TestCounts {
  const files = report?.testResults ?? [];
  const statuses = files.flatMap((file) => file.assertionResults.map((result) => result.status));
  const passed = statuses.filter((status) => status === 'passed').length;
  const failedTests = statuses.filter((status) => status === 'failed').length;
  const failedFiles = files.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((result) => result.status === 'failed'),
  ).length;
  const failed = failedTests + failedFiles;
  const isUnexplained = failed === 0 && (exitCode !== 0 || passed === 0);
  return { passed, failed: isUnexplained ? 1 : failed, skipped: statuses.length - passed - failedTests };
}

const MESSAGE_LENGTH = 1500;

/** One text for each failure: where, and the beginning of the message. */
export function describeFailures(report: Report | null): string[] {
  return (report?.testResults ?? []).flatMap((file) => {
    const name = relative(process.cwd(), file.name);
    const failed = file.assertionResults.filter((result) => result.status === 'failed');
    if (failed.length === 0)
      return file.status === 'failed' ? [`${name}\n${file.message?.slice(0, MESSAGE_LENGTH)}`] : [];
    return failed.map(
      (result) => `${name} > ${result.fullName}\n${result.failureMessages?.join('\n').slice(0, MESSAGE_LENGTH)}`,
    );
  });
}

function readReport(file: string): Report | null {
  // A crash leaves no report, or half of one.
  try {
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : null;
  } catch {
    return null;
  }
}

if (import.meta.main) {
  const [file = '', exitCode = '1', failures] = process.argv.slice(2);
  const report = readReport(file);
  const { passed, failed, skipped } = countTests(report, Number(exitCode));
  if (failures !== undefined)
    for (const failure of describeFailures(report)) appendFileSync(failures, `FAILED ${failure}\n\n`);
  console.log(passed, failed, skipped);
}
