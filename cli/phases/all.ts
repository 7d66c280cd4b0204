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

/** The phases of a migration, in their order. */
export const phases: readonly Phase[] = [prepare, backup, schema, capture, load, verify, optIn];

/** The phases up to one. */
export function phasesTo(last: PhaseName): readonly Phase[] {
  return phases.slice(0, phases.findIndex(({ name }) => name === last) + 1);
}

/** Throws `config_invalid` for a name that is none. */
export function parsePhase(text: string): Phase {
  const phase = phases.find(({ name }) => name === text);
  if (phase === undefined)
    throw new CrosswalkError('config_invalid.unknown_name', `There is no phase ${text}`, {
      known: phases.map(({ name }) => name).join(', '),
    });
  return phase;
}
