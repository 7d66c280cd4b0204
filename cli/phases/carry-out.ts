import type { Check } from '../../monitor/checks.ts';
import { CrosswalkError, toCrosswalkError, toErrorLine } from '../../runtime/errors.ts';
import { reach } from '../../runtime/faults.ts';
import { appendEntry, type LogVerdict, type NewEntry } from '../../schemas/phase-log.ts';
import { toLines } from '../commands/doctor.ts';
import { confirm } from '../confirm.ts';
import { toDurationText } from '../quantity-text.ts';
import { backUpBefore } from './backup-before.ts';
import type { Counts, Direction, Phase, PhasePlan, PhaseRun } from './phase.ts';
import { toCountLines } from './show.ts';

/** Result of a phase. `needed`: whether there was something to do. */
export interface PhaseResult {
  readonly phase: string;
  readonly action: 'run' | 'rollback';
  readonly verdict: Exclude<LogVerdict, 'begun'>;
  readonly needed: boolean;
  readonly checks: readonly Check[];
  readonly confirmed: readonly Check[];
  readonly statements: readonly string[];
  readonly before: Counts;
  readonly after: Counts;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly seconds: number;
}

/**
 * Runs one phase, or its rollback: checks, plan, go or no-go, counts, work, counts, checks. Each step is logged, so the log shows after a kill how far it got. Errors
 * that prevent the work are logged, then thrown.
 */
export async function carryOut(
  run: PhaseRun,
  phase: Phase,
  action: 'run' | 'rollback',
  options: { readonly yes: boolean },
): Promise<PhaseResult> {
  const startedAtMs = performance.now();
  const undertaking = (action === 'run' ? phase.forward : phase.back)!;
  const { say } = run;
  const log = (entry: Omit<NewEntry, 'runId' | 'phase' | 'action'>) =>
    appendEntry(run.target, { runId: run.runId, phase: phase.name, action, ...entry });
  const result = (partial: Partial<PhaseResult> & Pick<PhaseResult, 'verdict'>): PhaseResult => ({
    phase: phase.name,
    action,
    needed: false,
    checks: [],
    confirmed: [],
    statements: [],
    before: {},
    after: {},
    detail: {},
    seconds: (performance.now() - startedAtMs) / 1000,
    ...partial,
  });
  await reach?.('phase.before');

  const checks = [...(await undertaking.check(run))];
  for (const line of toLines(checks)) say(`  ${line}`);
  const refuse = async (failing: readonly Check[], partial: Partial<PhaseResult> = {}) => {
    await log({ verdict: 'no-go', detail: { checks: failing } });
    say(`no-go: ${failing.length} failing`);
    return result({ verdict: 'no-go', checks, ...partial });
  };
  const isFailing = ({ state }: Check) => state === 'failing';
  if (checks.some(isFailing)) return await refuse(checks.filter(isFailing));

  const plan = await undertaking.plan(run);
  const statements = plan.sections.map(({ sql }) => sql);
  sayPlan(run, plan);
  if (plan.isNeeded && undertaking.asks && !options.yes && !(await isGo(run, phase, action))) {
    await log({ verdict: 'no-go', reason: 'a person said no' });
    say('no-go');
    return result({ verdict: 'no-go', needed: true, checks, statements });
  }

  if (plan.isNeeded && undertaking.backsUp) {
    const made = await backUpBefore(run, phase.name);
    for (const line of toLines(made)) say(`  ${line}`);
    checks.push(...made);
    if (made.some(isFailing)) return await refuse(made.filter(isFailing), { needed: true, statements });
  }

  const before = plan.isNeeded ? await undertaking.count(run) : {};
  const remembered = plan.isNeeded ? ((await undertaking.remember?.(run)) ?? {}) : {};
  if (plan.isNeeded) await log({ verdict: 'begun', before, detail: remembered });
  await reach?.('phase.begun');
  let detail: Readonly<Record<string, unknown>> = {};
  try {
    if (plan.isNeeded) detail = await undertaking.work(run);
    await reach?.('phase.worked');
  } catch (thrown) {
    const error = toCrosswalkError(thrown, `phase ${phase.name}`);
    // A lost connection cannot log: the log then shows a phase that was begun and not completed.
    await log({ verdict: 'failed', before, detail: { error: toErrorLine(error) } }).catch(() => undefined);
    throw thrown;
  }
  const after = plan.isNeeded ? await undertaking.count(run) : {};
  for (const line of toCountLines(before, after)) say(`  ${line}`);
  const confirmed = plan.isNeeded ? await undertaking.confirm(run, { before, after, detail }) : [];
  for (const line of toLines(confirmed)) say(`  ${line}`);
  const isRight = confirmed.every(({ state }) => state !== 'failing');
  const verdict = isRight ? 'done' : 'failed';
  await log({
    verdict,
    before,
    after,
    detail: { ...detail, ...(isRight ? {} : { checks: confirmed.filter(({ state }) => state === 'failing') }) },
    ...(run.options.withoutBackup === null ? {} : { reason: run.options.withoutBackup }),
  });
  await reach?.('phase.after');
  const seconds = (performance.now() - startedAtMs) / 1000;
  say(isRight ? `${plan.isNeeded ? 'done' : 'nothing to do'} (${toDurationText(seconds)})` : 'FAILED: see above');
  return result({ verdict, needed: plan.isNeeded, checks, confirmed, statements, before, after, detail });
}

function sayPlan({ say }: PhaseRun, { sections, notes }: PhasePlan): void {
  const databases = [...new Set(sections.map(({ database }) => database))].join(' and ');
  if (sections.length > 0) say(`  to run in the ${databases} database (\`crosswalk migrate plan\` shows the SQL):`);
  for (const { title } of sections) say(`    ${title}`);
  for (const note of notes) say(`  ${note}`);
}

async function isGo({ context }: PhaseRun, phase: Phase, action: 'run' | 'rollback'): Promise<boolean> {
  return await confirm(
    context,
    action === 'run' ? `Go on with ${phase.name}?` : `Take ${phase.name} back? It ${phase.rollbackSummary}.`,
  );
}

/** Throws `config_invalid` for a phase that leaves nothing to roll back. */
export function backOf(phase: Phase): Direction {
  if (phase.back === null)
    throw new CrosswalkError(
      'config_invalid.phase_unreturnable',
      `Phase ${phase.name} leaves nothing behind that could be taken back`,
    );
  return phase.back;
}
