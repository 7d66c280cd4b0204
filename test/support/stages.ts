import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { crm } from './crm.ts';

/** Sets a stage as the owner of the schema may, whatever a gate would say. `tenant` null: all of them. */
export async function setStage(owner: pg.ClientBase, tenant: string | null, stage: number): Promise<void> {
  await owner.query(
    `INSERT INTO crosswalk.stage_log (tenant_id, stage, set_by, forced, reason) VALUES ($1, $2, 'test', true, 'the test needs it')`,
    [tenant, stage],
  );
}

/**
 * From which stage on the application sees a table of the new schema, as the headings of docs/mapping.md say it: `table (stage n)`, stage 1 where they say nothing.
 * Tables that are for operators alone are not among them.
 */
export const SHOWN_FROM: Readonly<Record<string, number>> = readStages();

function readStages(): Record<string, number> {
  const page = readFileSync(new URL('../../docs/mapping.md', import.meta.url), 'utf8');
  const stages: Record<string, number> = {};
  for (const [, names] of page.matchAll(/^## .*→ (.+)$/gm)) {
    for (const named of names!.split(', ')) {
      const [, table, stage = '1'] = /^([a-z_]+)(?: \(stage ([0-9])\))?$/.exec(named) ?? [];
      if (table === undefined) throw new Error(`docs/mapping.md: "${named}" in a heading is no table with a stage`);
      if (table === crm.rejects) continue;
      if ((stages[table] ?? Number(stage)) !== Number(stage))
        throw new Error(`docs/mapping.md: two headings name different stages of ${table}`);
      stages[table] = Number(stage);
    }
  }
  return stages;
}
