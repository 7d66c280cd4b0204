import { projections } from '../../projectors/projections/all.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { type Verification, verifyAll } from '../../projectors/verify/verify.ts';
import { waitForLsn } from '../../projectors/wait.ts';
import { createKafka } from '../../runtime/kafka.ts';
import { connect } from '../../runtime/postgres.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { createProgress } from '../progress.ts';
import { markLegacy } from './wait.ts';

const WAIT_MS = 600_000;

/** Waits until everything committed by now is applied, then recomputes and compares every row. */
export async function verify(
  context: CommandContext,
  options: { limit: number; unmask?: boolean; json?: boolean },
): Promise<boolean> {
  const { config, log, signal } = context;
  const lsn = await markLegacy(config.legacyUrl());
  const target = await connect(config.targetUrl(), 'verify');
  try {
    await waitForLsn(config, createKafka(config.kafka(), log), target, projections, {
      lsn,
      timeoutMs: WAIT_MS,
      signal,
    });
  } finally {
    await target.end();
  }
  const progress = options.json
    ? null
    : createProgress({
        label: 'recomputing',
        total: 0,
        isTerminal: context.isTerminal,
        write: (text) => process.stdout.write(text),
      });
  const result = await verifyAll(config, projections, readTenants(), {
    limit: options.limit,
    signal,
    onRows: (done, total) => progress?.update(done, total),
  });
  progress?.close();
  if (options.json) printJson(options.unmask ? result : masked(result));
  else printVerification(result, options);
  return result.ok;
}

function masked(result: Verification): Verification {
  const hide = (value: string | null) => (value === null ? null : `(${value.length} characters)`);
  const tables = result.tables.map((table) => ({
    ...table,
    differences: table.differences.map((difference) => ({
      ...difference,
      expected: hide(difference.expected),
      actual: hide(difference.actual),
    })),
  }));
  return { ...result, tables };
}

/** The verification as people read it: tables, checks, the first differences by name, exceptions, verdict. */
export function printVerification(result: Verification, options: { limit: number; unmask?: boolean }): void {
  const shown = options.unmask ? result : masked(result);
  print(
    `${'table'.padEnd(20)} ${'expected'.padStart(10)} ${'found'.padStart(10)} ${'missing'.padStart(8)} ${'extra'.padStart(8)} ${'differ'.padStart(8)}`,
  );
  for (const table of shown.tables) {
    const cells = [table.missing, table.extra, table.differing].map((count) => String(count).padStart(8)).join(' ');
    print(
      `${table.table.padEnd(20)} ${String(table.expected).padStart(10)} ${String(table.actual).padStart(10)} ${cells}`,
    );
  }
  print();
  for (const check of shown.checks)
    print(
      `${check.ok ? 'ok    ' : 'FAILED'} ${check.name}${check.ok ? ` (${check.actual})` : `: expected ${check.expected}, found ${check.actual}`}`,
    );
  const differences = shown.tables.flatMap((table) => table.differences).slice(0, options.limit);
  if (differences.length > 0) print('\nfirst differences:');
  for (const { table, id, kind, column, expected, actual, legacyKey } of differences) {
    const what = kind === 'differs' ? `${column}: expected ${expected ?? 'null'}, found ${actual ?? 'null'}` : kind;
    print(`  ${table} ${id}${legacyKey === null ? '' : ` (legacy ${legacyKey})`} ${what}`);
  }
  for (const { projection, legacyKey } of shown.unmappable.slice(0, options.limit))
    print(`  ${projection} ${legacyKey} cannot be mapped: a defect of the projection`);
  const { rejects, deadLetters, parked } = shown.exceptions;
  print(`\n${rejects} rejects, ${deadLetters} open dead letters, ${parked} changes waiting for their cause`);
  print(
    `${shown.ok ? 'verified: every row is equal' : 'NOT verified'} (${shown.legacyRows} legacy rows, ${shown.seconds.toFixed(1)} s)`,
  );
}
