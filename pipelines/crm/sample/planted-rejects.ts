import { orderRow } from './rows/activity.ts';
import { leadRow, leadsOf } from './rows/clients.ts';
import { contactRow } from './rows/contacts.ts';
import { quoteRow } from './rows/quotes.ts';
import type { PlantedReject } from './rows/row.ts';
import { sampleSetting } from './sample-setting.ts';

/** How many orders a sample of so many contacts has. */
export const ordersOf = (contacts: number) => Math.floor(contacts / 20);
export const orderIdAt = (index: number) => String(index + 1);

/**
 * The rejects that a sample database of this seed and size holds, contacts first, then quotes, leads and orders, each in order of generation.
 * They are planted: known when a row is made, never derived from what the projections do.
 */
export function plantedRejects(seed: string | number, counts: { contacts: number; quotes: number }): PlantedReject[] {
  // Which values are planted depends on seed and index alone, so any number of workspaces gives the same rejects.
  const setting = sampleSetting(seed, 1);
  const rejects: PlantedReject[] = [];
  for (let i = 0; i < counts.contacts; i++) rejects.push(...contactRow(setting, i).rejects);
  for (let i = 0; i < counts.quotes; i++) rejects.push(...quoteRow(setting, i).rejects);
  for (let i = 0; i < leadsOf(counts.contacts); i++) rejects.push(...leadRow(setting, i, null).rejects);
  for (let i = 0; i < ordersOf(counts.contacts); i++) rejects.push(...orderRow(setting, i, null, orderIdAt(i)).rejects);
  return rejects;
}
