import type pg from 'pg';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { createProjectorPool } from './crm.ts';
import { createScriptedLog, type ScriptedLog } from './scripted-log.ts';
import { createDatabases } from './stack.ts';
import { clearTarget, openTarget } from './target-database.ts';

/** A migrated target, its owner's connection, the projectors' pool, and a log that is applied with it. */
export interface ScriptedTarget {
  readonly databases: Awaited<ReturnType<typeof createDatabases>>;
  readonly client: pg.Client;
  readonly pool: pg.Pool;
  readonly log: ScriptedLog;
}

/** Gives the tests of a file a target of their own, of this name, with `connections` for its projectors. It is emptied before each test, and `set` gets it with a new log. */
export function useScriptedTarget(name: string, connections: number, set: (target: ScriptedTarget) => void): void {
  let databases: ScriptedTarget['databases'] | undefined;
  let client: pg.Client | undefined;
  let pool: pg.Pool | undefined;
  beforeAll(async () => {
    databases = await createDatabases(name);
    client = await openTarget(databases.targetUrl);
    pool = createProjectorPool(databases.targetUrl, 'projector', connections);
  });
  beforeEach(async () => {
    await clearTarget(client!);
    set({ databases: databases!, client: client!, pool: pool!, log: await createScriptedLog(pool!) });
  });
  afterAll(async () => {
    await pool?.end();
    await client?.end();
    await databases?.drop();
  });
}
