// Prints `passed failed skipped` of one run: node test/count-tests.ts <report of vitest's JSON reporter> <exit code of vitest>
import { existsSync, readFileSync } from 'node:fs';

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
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

function readReport(file: string): Report | null {
  // A crash leaves no report, or half of one.
  try {
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : null;
  } catch {
    return null;
  }
}

if (import.meta.main) {
  const [file = '', exitCode = '1'] = process.argv.slice(2);
  const { passed, failed, skipped } = countTests(readReport(file), Number(exitCode));
  console.log(passed, failed, skipped);
}
