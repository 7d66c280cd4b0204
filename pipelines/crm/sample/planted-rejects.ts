import { leadRow, leadsOf } from './rows/clients.ts';
import { contactRow } from './rows/contacts.ts';
import { quoteRow } from './rows/quotes.ts';
import type { PlantedReject } from './rows/row.ts';
import { sampleSetting } from './sample-setting.ts';

/**
 * The rejects that a sample database of this seed and size holds, contacts first, then quotes and leads, each in order of generation.
 * They are planted: known when a row is made, never derived from what the projections do.
 */
export function plantedRejects(seed: string | number, counts: { contacts: number; quotes: number }): PlantedReject[] {
  // Which values are planted depends on seed and index alone, so any number of workspaces gives the same rejects.
  const setting = sampleSetting(seed, 1);
  const rejects: PlantedReject[] = [];
  for (let i = 0; i < counts.contacts; i++) rejects.push(...contactRow(setting, i).rejects);
  for (let i = 0; i < counts.quotes; i++) rejects.push(...quoteRow(setting, i).rejects);
  for (let i = 0; i < leadsOf(counts.contacts); i++) rejects.push(...leadRow(setting, i, null).rejects);
  return rejects;
}
