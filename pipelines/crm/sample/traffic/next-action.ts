import type { Random } from '../random.ts';
import { CAMPAIGN_HAPPENINGS } from './campaign-actions.ts';
import type { Action } from './change.ts';
import { CLIENT_HAPPENINGS } from './client-actions.ts';
import { CONTACT_HAPPENINGS, contactCreated } from './contact-actions.ts';
import type { KnownRows } from './known-rows.ts';
import { OTHER_HAPPENINGS, workspaceCreated } from './other-actions.ts';
import { QUOTE_HAPPENINGS } from './quote-actions.ts';

/** All actions, each with a distinct name and a weight. */
export const HAPPENINGS = [
  ...[...CONTACT_HAPPENINGS, ...QUOTE_HAPPENINGS, ...CLIENT_HAPPENINGS, ...CAMPAIGN_HAPPENINGS],
  ...OTHER_HAPPENINGS,
];
const TRIES = 20;
const ROLLBACK_SHARE = 0.02;

/** Next action of the legacy application, determined by the random sequence and the known rows, which it does not change. An empty database starts with workspaces and contacts. */
export function nextAction(random: Random, known: KnownRows): Action {
  const action = drawAction(random, known);
  const [only, ...more] = action.transactions;
  if (only === undefined || more.length > 0 || !random.chance(ROLLBACK_SHARE)) return action;
  return { ...action, transactions: [{ ...only, rollback: true }] };
}

function drawAction(random: Random, known: KnownRows): Action {
  if (known.setting.workspaces.length === 0) {
    const action = workspaceCreated(random, known);
    if (action !== null) return action;
  }
  for (let tries = 0; tries < TRIES; tries++) {
    const action = random.weighted(HAPPENINGS)(random, known);
    if (action !== null) return action;
  }
  return contactCreated(random, known)!;
}
