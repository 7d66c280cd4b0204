import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCodes } from '../runtime/error-codes.ts';

/** docs/errors.md, made of the table of error codes. */
export function toErrorsPage(): string {
  const rows = Object.entries(errorCodes).map(([code, { tries, exitCode, meaning, remedy }]) => {
    const ends =
      tries === Number.POSITIVE_INFINITY
        ? 'waits'
        : `stops${tries === 1 ? '' : ` at the ${tries}${tries === 2 ? 'nd' : 'th'} time`}, exit code ${exitCode}`;
    return `| \`${code}\` | ${meaning} | ${ends} | ${remedy} |`;
  });
  return `# Errors

Every failure has one of these codes: in the \`code\` of a log line, and in \`status\` as the last line of a process that stopped. The message behind it names the thing, and the next step more exactly than this page can.
A process that *waits* tries again as long as it takes, and says so once. One that *stops* does it at once, or when the same failure comes back so often without any progress in between; what it had at hand was not committed.
A command ends with exit code 1 where it found something wrong, such as a difference.

| code | means | the process | next step |
| --- | --- | --- | --- |
${rows.join('\n')}

This page is made of \`runtime/error-codes.ts\` by \`npm run errors\`.
`;
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, '../docs/errors.md'), toErrorsPage());
