import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorPolicy, Remedy } from '../runtime/error-codes/policy.ts';
import { errorCodes } from '../runtime/error-codes.ts';

const policies = Object.entries<ErrorPolicy>(errorCodes);

/** Every code and finer code with its next step; a fact stands as ‹its name›. */
export function listRemedies(): { readonly code: string; readonly remedy: string }[] {
  return policies.flatMap(([code, { remedy, finer }]) => [
    { code, remedy },
    ...Object.entries(finer).map(([name, of]) => ({ code: `${code}.${name}`, remedy: toText(of) })),
  ]);
}

function toText(remedy: Remedy): string {
  const facts = new Proxy({}, { get: (_, name) => `‹${String(name)}›` });
  return typeof remedy === 'string' ? remedy : remedy(facts as never);
}

/** docs/errors.md, made of the table of error codes. */
export function toErrorsPage(): string {
  const rows = policies.map(([code, { tries, exitCode, meaning, remedy }]) => {
    const ends =
      tries === Number.POSITIVE_INFINITY
        ? 'waits'
        : `stops${tries === 1 ? '' : ` at the ${tries}${tries === 2 ? 'nd' : 'th'} time`}, exit code ${exitCode}`;
    return `| \`${code}\` | ${meaning} | ${ends} | ${remedy} |`;
  });
  const finer = listRemedies().filter(({ code }) => code.includes('.'));
  return `# Errors

Every failure has one of these codes: in the \`code\` of a log line, and in \`status\` as the last line of a process that stopped. The message behind it names the thing, and then the next step: that of the code, or one of the more exact ones below.
A process that *waits* tries again as long as it takes, and says so once. One that *stops* does it at once, or when the same failure comes back so often without any progress in between; what it had at hand was not committed.
A command ends with exit code 1 where it found something wrong, such as a difference.

| code | means | the process | next step |
| --- | --- | --- | --- |
${rows.join('\n')}

## More exact next steps

What stands in ‹ › is named by the error. Each belongs to the code before the dot, which is what logs name.

| code | next step |
| --- | --- |
${finer.map(({ code, remedy }) => `| \`${code}\` | ${remedy} |`).join('\n')}

This page is made of \`runtime/error-codes.ts\` by \`npm run errors\`.
`;
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, '../docs/errors.md'), toErrorsPage());
