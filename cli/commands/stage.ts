import { type Gate, type StoredGate, storeGate } from '../../monitor/stages/gate.ts';
import {
  addStage,
  isChange,
  isRaise,
  readHistory,
  readStage,
  readStages,
  type StageChange,
  type StageEntry,
  toStageChange,
} from '../../monitor/stages/stage-log.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { toTableLines } from '../quantity-text.ts';
import { asOperator, evaluate, type LimitOptions, toGateText, toName, toTenant, withTarget } from './gate.ts';

/** Up to this many tenants are listed by name; more are only counted. */
const NAMED = 10;

/** Shows the stage of one tenant or of all, or the whole log. Reads only the target database. */
export async function get(
  context: CommandContext,
  name: string | undefined,
  options: { history?: boolean; json?: boolean },
): Promise<boolean> {
  const tenant = name === undefined ? null : toTenant(name);
  await withTarget(context, 'stage', async (target) => {
    if (options.history) {
      const entries = await readHistory(target, tenant);
      if (options.json) printJson(entries);
      else for (const line of toHistoryLines(entries)) print(line);
    } else if (tenant !== null) {
      const found = await readStage(target, tenant);
      if (options.json) printJson({ tenant, ...found });
      else for (const line of toStageLines([[tenant, found.stage, found.entry]], context.pipeline.stages)) print(line);
    } else {
      const stages = await readStages(target);
      if (options.json) printJson(stages);
      else {
        const named = stages.tenants.map((entry): Standing => [entry.tenant!, entry.stage, entry]);
        const others: Standing = [named.length === 0 ? 'all' : 'all others', stages.others.stage, stages.others.entry];
        for (const line of toStageLines([...named, others], context.pipeline.stages)) print(line);
      }
    }
  });
  return true;
}

type Standing = readonly [tenant: string, stage: number, entry: StageEntry | null];

function toStageLines(standings: readonly Standing[], titles: readonly string[]): string[] {
  return toTableLines([
    ['tenant', 'stage', '', 'since', 'by', ''],
    ...standings.map(([tenant, stage, entry]) => [
      tenant,
      String(stage),
      titles[stage] ?? '',
      ...(entry === null ? ['', '', 'never set'] : [entry.at.slice(0, 19), entry.setBy, toWhy(entry)]),
    ]),
  ]);
}

function toHistoryLines(entries: readonly StageEntry[]): string[] {
  if (entries.length === 0) return ['No stage was ever set: every tenant is at stage 0.'];
  return toTableLines(
    [
      ['', 'at', 'tenant', 'stage', 'by', 'login', ''],
      ...entries.map((entry) => [
        entry.number,
        entry.at.slice(0, 19),
        entry.tenant ?? 'all',
        `${entry.previous} → ${entry.stage}`,
        entry.setBy,
        entry.role,
        toWhy(entry),
      ]),
    ],
    [0],
  );
}

function toWhy({ forced, gateId, reason }: StageEntry): string {
  const parts = [
    ...(forced ? ['forced'] : []),
    ...(gateId === null ? [] : [`gate ${gateId}`]),
    ...(reason === null ? [] : [reason]),
  ];
  return parts.join(', ');
}

export interface SetOptions extends LimitOptions {
  readonly by: string;
  readonly reason?: string;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Sets a stage. Lowering needs only the target database. Raising evaluates the gate again and is refused if it does not pass, unless forced with a reason. Returns false if refused. */
export async function set(context: CommandContext, name: string, level: string, options: SetOptions): Promise<boolean> {
  const tenant = toTenant(name);
  const stage = toStage(level, context.pipeline.stages);
  const by = toName('--by', options.by);
  const reason = options.reason === undefined ? null : toName('--reason', options.reason);
  const isForced = options.force === true;
  if (isForced && reason === null) throw new CrosswalkError('config_invalid.stage_reason', '--force needs --reason');
  return withTarget(context, 'stage', async (target) => {
    const change = toStageChange(await readStages(target), tenant, stage);
    const told = (outcome: Outcome) => tell(change, outcome, options.json === true, context.pipeline.stages);
    if (!isChange(change)) return told({ kind: 'same' });
    if (!isRaise(change)) {
      if (options.dryRun) return told({ kind: 'dry run', gate: null });
      const entry = await addStage(target, { tenant, stage, by, reason, forced: false, gate: null });
      return told({ kind: 'set', entry, gate: null });
    }
    const evaluated = await evaluate(asOperator(context), target, tenant, options);
    const passes = evaluated.verdict === 'go';
    if (options.dryRun) return told({ kind: 'dry run', gate: evaluated, isRefused: !passes && !isForced });
    const gate = await storeGate(target, evaluated, by);
    if (!passes && !isForced) return told({ kind: 'refused', gate });
    const entry = await addStage(target, { tenant, stage, by, reason, forced: !passes, gate });
    return told({ kind: 'set', entry, gate });
  });
}

function toStage(text: string, titles: readonly string[]): number {
  if (/^\d{1,3}$/.test(text) && Number(text) < titles.length) return Number(text);
  throw new CrosswalkError('config_invalid.stage', `${JSON.stringify(text)} is no stage`, {
    stages: `0 to ${titles.length - 1}: ${titles.map((what, stage) => `${stage} ${what}`).join('; ')}`,
  });
}

type Outcome =
  | { readonly kind: 'same' }
  | { readonly kind: 'refused'; readonly gate: StoredGate }
  | { readonly kind: 'dry run'; readonly gate: Gate | null; readonly isRefused?: boolean }
  | { readonly kind: 'set'; readonly entry: StageEntry; readonly gate: StoredGate | null };

/** Prints the result. Returns false if the change was refused. */
function tell(change: StageChange, outcome: Outcome, json: boolean, titles: readonly string[]): boolean {
  const isRefused = outcome.kind === 'refused' || (outcome.kind === 'dry run' && outcome.isRefused === true);
  if (json)
    printJson({ outcome: outcome.kind, ...change, ...outcome, ...(outcome.kind === 'dry run' ? { isRefused } : {}) });
  else for (const line of toSetLines(change, outcome, isRefused, titles)) print(line);
  return !isRefused;
}

function toSetLines(change: StageChange, outcome: Outcome, isRefused: boolean, titles: readonly string[]): string[] {
  const { stage, tenant } = change;
  const who = tenant ?? 'all tenants';
  if (outcome.kind === 'same') return [`Nothing to do: ${who} ${tenant === null ? 'are' : 'is'} at stage ${stage}.`];
  const lines = [
    ...(outcome.gate === null ? [] : [...toGateText(outcome.gate), '']),
    ...toChangeLines(change, titles),
    ...toSteps(change),
  ];
  if (isRefused)
    return [
      ...lines,
      `Refused: the gate does not pass, so ${who} ${tenant === null ? 'stay as they are' : 'stays as it is'}. Resolve the lines above, or force it with --force --reason TEXT.`,
    ];
  if (outcome.kind === 'dry run') return [...lines, 'Nothing is changed: this was a dry run.'];
  const forced = outcome.kind === 'set' && outcome.entry.forced ? ', forced: the gate did not pass' : '';
  return [...lines, `Set${forced}. It takes effect with the next statement of every session.`];
}

function toChangeLines({ tenant, stage, others, raises, lowers }: StageChange, titles: readonly string[]): string[] {
  if (tenant !== null) {
    const from = [...raises, ...lowers][0]!.from;
    return [`${tenant}: stage ${from} → ${stage}, ${titles[stage] ?? ''}`];
  }
  const named = (moved: StageChange['raises']) =>
    moved.length <= NAMED ? moved.map((one) => `${one.tenant} (${one.from})`).join(', ') : `${moved.length} tenants`;
  return [
    others === null
      ? `all others are already at stage ${stage}`
      : `all others: stage ${others.from} → ${stage}, ${titles[stage] ?? ''}`,
    ...(raises.length === 0 ? [] : [`raised to ${stage} with them: ${named(raises)}`]),
    ...(lowers.length === 0 ? [] : [`lowered to ${stage} with them: ${named(lowers)}`]),
  ];
}

function toSteps({ stage, others, raises }: StageChange): string[] {
  const lowest = Math.min(stage, ...raises.map(({ from }) => from), ...(others === null ? [] : [others.from]));
  return stage - lowest > 1
    ? [`This is ${stage - lowest} stages at once: the stages in between are not checked one by one.`]
    : [];
}
