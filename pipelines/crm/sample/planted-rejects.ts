import { orderRow } from './rows/activity.ts';
import { leadRow, leadsOf } from './rows/clients.ts';
import { contactRow } from './rows/contacts.ts';
import { quoteRow } from './rows/quotes.ts';
import type { PlantedReject } from './rows/row.ts';
import { sampleSetting } from './sample-setting.ts';

/** Number of orders in a sample of this many contacts. */
export const ordersOf = (contacts: number) => Math.floor(contacts / 20);
export const orderIdAt = (index: number) => String(index + 1);

/**
 * The rejects of a sample database of this seed and size: contacts first, then quotes, leads and orders, each in order of generation. They are known
 * when a row is generated, never derived from the projections.
 */
export function plantedRejects(seed: string | number, counts: { contacts: number; quotes: number }): PlantedReject[] {
  // The planted values depend only on seed and index, so any number of workspaces gives the same rejects.
  const setting = sampleSetting(seed, 1);
  const rejects: PlantedReject[] = [];
  for (let i = 0; i < counts.contacts; i++) rejects.push(...contactRow(setting, i).rejects);
  for (let i = 0; i < counts.quotes; i++) rejects.push(...quoteRow(setting, i).rejects);
  for (let i = 0; i < leadsOf(counts.contacts); i++) rejects.push(...leadRow(setting, i, null).rejects);
  for (let i = 0; i < ordersOf(counts.contacts); i++) rejects.push(...orderRow(setting, i, null, orderIdAt(i)).rejects);
  return rejects;
}
