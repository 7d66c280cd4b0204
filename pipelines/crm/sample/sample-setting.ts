import type { Setting } from './rows/row.ts';
import { STATUS_OPTIONS_PER_WORKSPACE, workspaceId } from './rows/workspaces.ts';

const FIRST_DAY = 19_358;

/** Input of the row generators for a sample database: its seed and number of workspaces. */
export function sampleSetting(seed: string | number, workspaces: number): Setting {
  const text = String(seed);
  const ids = Array.from({ length: workspaces }, (_, i) => workspaceId(text, i));
  return {
    seed: text,
    workspaces: ids,
    anyWorkspace: true,
    companies: ids.filter((id) => id.length === 36),
    statusOptions: Array.from({ length: workspaces * STATUS_OPTIONS_PER_WORKSPACE }, (_, i) => String(i + 1)),
    plantRejects: true,
    firstPhone: 0,
    firstDay: FIRST_DAY,
  };
}
