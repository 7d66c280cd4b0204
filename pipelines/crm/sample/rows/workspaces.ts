import { createRandom } from '../random.ts';
import { uuidOf } from './identifiers.ts';
import type { Row } from './row.ts';
import { laterUs, randomTimeUs, timeText } from './times.ts';

/** Number of status options per workspace. */
export const STATUS_OPTIONS_PER_WORKSPACE = 7;

const NAMES = [
  'Brightwater Plumbing',
  'Çınar İnşaat',
  'Mill & Sons "Roofing"',
  'Œuvre Déco',
  'Fjord HVAC ❄️',
  'مزرعة النور',
];
const OPTIONS = ['New', 'Contacted', 'Qualified', 'Proposal sent', 'Won 🎉', 'Lost', 'On hold'];

/** The id of a sample's workspace. Every fourth is not a UUID: it predates UUIDs for companies. */
export function workspaceId(seed: string, index: number): string {
  const uuid = uuidOf(`${seed}/workspace/${index}`);
  return index % 4 === 3 ? `ws-${uuid.slice(0, 8)}` : uuid;
}

/** A row of workspaces. */
export function workspaceRow(seed: string, index: number, firstDay: number): Row {
  const random = createRandom(`${seed}/workspaces/${index}`);
  const createdUs = randomTimeUs(random, firstDay, 30);
  return {
    id: workspaceId(seed, index),
    name: index < NAMES.length ? NAMES[index]! : `${NAMES[index % NAMES.length]} ${index}`,
    plan: random.pick(['free', 'team', 'Business ', '', null]),
    country: ['US', 'GB', null, 'C ', 'DE'][index % 5]!,
    settings: random.pick(['{}', '{"theme": "dark", "limits": {"seats": 25}}', '{"tags": ["a", "b"], "vat": 19.00}']),
    industry: random.pick(['trades', ' ', null, 'Garten & "Bau"']),
    created_at: timeText(createdUs),
    updated_at: timeText(laterUs(random, createdUs, 300)),
  };
}

/** The id of the status option `ordinal` (from 0) of the workspace `index`. */
export function statusOptionId(index: number, ordinal: number): string {
  return String(index * STATUS_OPTIONS_PER_WORKSPACE + ordinal + 1);
}

/** The rows of status_options of one workspace. One row of the first workspace belongs to no workspace. */
export function statusOptionRows(seed: string, index: number, firstDay: number): Row[] {
  const random = createRandom(`${seed}/status_options/${index}`);
  return OPTIONS.map((name, ordinal) => {
    const createdUs = randomTimeUs(random, firstDay, 60);
    return {
      id: statusOptionId(index, ordinal),
      workspace_id: ordinal === 6 && index === 0 ? null : workspaceId(seed, index),
      category: ordinal === 5 ? 'quote' : 'lead',
      name: random.chance(0.1) ? ` ${name} ` : name,
      color: random.pick(['#0a7', '#c33', '', null]),
      description: random.pick([null, '', 'first call made', 'línea 1\nlínea 2']),
      sort_order: String(random.int(-1, 9)),
      is_default: String(ordinal === 0),
      is_active: String(random.chance(0.9)),
      created_at: timeText(createdUs),
      updated_at: timeText(createdUs),
    };
  });
}
