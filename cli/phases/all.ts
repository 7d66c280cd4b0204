import type { PlannedStep } from '../../projectors/pipeline.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { PhaseName } from '../../schemas/phase-log.ts';
import { backup } from './backup.ts';
import { capture } from './capture.ts';
import { load } from './load.ts';
import { optIn } from './opt-in.ts';
import type { Phase } from './phase.ts';
import { prepare } from './prepare.ts';
import { schema } from './schema.ts';
import { verify } from './verify.ts';

/** The phases of a migration, in order. */
export const phases: readonly Phase[] = [prepare, backup, schema, capture, load, verify, optIn];

/** The phases up to and including one. */
export function phasesTo(last: PhaseName): readonly Phase[] {
  return phases.slice(0, phases.findIndex(({ name }) => name === last) + 1);
}

/** A phase by its name, or by its name in the pipeline's plan. Throws `config_invalid` for an unknown name. */
export function parsePhase(text: string, plan: readonly PlannedStep[] = []): Phase {
  const wanted = plan.find(({ name }) => name === text)?.phase ?? text;
  const phase = phases.find(({ name }) => name === wanted);
  if (phase === undefined)
    throw new CrosswalkError('config_invalid.unknown_name', `There is no phase ${text}`, {
      known: [...phases, ...plan].map(({ name }) => name).join(', '),
    });
  return phase;
}

/** The steps of the pipeline's plan that a phase does, in words; null if there are none. */
export function toPlanText(phase: PhaseName, plan: readonly PlannedStep[] = []): string | null {
  const own = plan.filter((step) => step.phase === phase);
  return own.length === 0 ? null : own.map(({ name, title }) => `${name} (${title})`).join(', ');
}
