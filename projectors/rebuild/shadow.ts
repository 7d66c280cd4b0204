import type pg from 'pg';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { Log } from '../../runtime/log.ts';
import { connectProjector, liveNamespace, type Namespace } from '../session.ts';
import { isLockTimeout } from '../write/data-error.ts';

const DROP_TIMEOUT = '10s';

/** Settings of a rebuild. A rebuild with other settings cannot resume its shadow. */
export interface Settings {
  readonly projections: readonly string[];
  readonly topics: readonly string[];
  /** `beginning`, `offset:<n>` or a time. */
  readonly from: string;
  /** First replayed offset by projection and partition; empty if replayed from the beginning. */
  readonly starts: readonly { readonly projection: string; readonly partition: number; readonly offset: string }[];
  /** Names and versions of the projections, and everything else that decides the rows. */
  readonly mapping: string;
}

/** The shadow of a rebuild, locked for this process as long as its connection lives. */
export interface Shadow {
  readonly name: string;
  readonly schema: string;
  readonly settings: Settings;
  readonly control: pg.Client;
  /** Whether its rows are already merged, so that only the shadow remains to be dropped. */
  readonly isMerged: boolean;
  close(): Promise<void>;
}

/** Schema of a shadow's tables. Names are lower-case letters, digits and _, at most 31. */
export function schemaOf(name: string): string {
  return `crosswalk_shadow_${name}`;
}

/** All shadows, and whether a process holds each. */
export async function readShadows(client: pg.ClientBase): Promise<{ name: string; isWorkedOn: boolean }[]> {
  const { rows } = await client.query<{ name: string; taken: string }>(
    `SELECT name, EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
         AND classid::bigint = hashtext('crosswalk.rebuild')::bigint & 4294967295 AND objid::bigint = hashtext(name)::bigint & 4294967295)::text AS taken
     FROM (SELECT substr(nspname, $1) AS name FROM pg_namespace WHERE starts_with(nspname, $2)) shadows ORDER BY name`,
    [schemaOf('').length + 1, schemaOf('')],
  );
  return rows.map(({ name, taken }) => ({ name, isWorkedOn: taken === 'true' }));
}

/** Locks a name for this process, with a connection that sees the tables of `namespace`. Throws `config_invalid` if another process holds it, or if the name is invalid. */
async function take(url: string, name: string, namespace: Namespace = ['crosswalk']): Promise<pg.Client> {
  if (!/^[a-z][a-z0-9_]{0,30}$/.test(name)) {
    throw new CrosswalkError('config_invalid.argument', `${JSON.stringify(name)} is no name of a rebuild`, {
      argument: '--name',
      as: '1 to 31 lower-case letters, digits and _, a letter first',
    });
  }
  const control = await connectProjector(url, 'rebuild', namespace);
  const { rows } = await control.query<{ taken: string }>(
    `SELECT pg_try_advisory_lock(hashtext('crosswalk.rebuild'), hashtext($1))::text AS taken`,
    [name],
  );
  if (rows[0]!.taken === 'true') return control;
  await control.end();
  throw new CrosswalkError('config_invalid.rebuild_running', `Another process works on the rebuild ${name}`);
}

async function exists(control: pg.ClientBase, name: string): Promise<boolean> {
  const { rows } = await control.query<{ found: string | null }>('SELECT to_regnamespace($1)::text AS found', [
    schemaOf(name),
  ]);
  return rows[0]!.found !== null;
}

/** Creates a shadow with `fill`, which completes the settings, in one transaction. Throws `config_invalid` if the name exists. */
export async function createShadow(
  url: string,
  name: string,
  options: {
    targetSchema: string;
    tables: readonly string[];
    partial: boolean;
    fill: (control: pg.Client, schema: string) => Promise<Settings>;
  },
): Promise<Shadow> {
  const control = await take(url, name, liveNamespace(options.targetSchema));
  try {
    if (await exists(control, name)) {
      throw new CrosswalkError('config_invalid.rebuild_exists', `There is a rebuild ${name} already`);
    }
    const schema = schemaOf(name);
    await control.query('BEGIN');
    const { targetSchema, tables, partial } = options;
    await control.query('SELECT crosswalk.create_shadow($1, $2, $3, $4)', [name, targetSchema, tables, partial]);
    const settings = await options.fill(control, schema);
    await control.query(`INSERT INTO ${schema}.rebuild (settings) VALUES ($1)`, [JSON.stringify(settings)]);
    await control.query('COMMIT');
    return { name, schema, settings, control, isMerged: false, close: () => control.end() };
  } catch (error) {
    await control.end().catch(() => undefined);
    throw error;
  }
}

/** Opens an existing shadow. Throws `config_invalid` if there is none. */
export async function openShadow(url: string, name: string, targetSchema: string): Promise<Shadow> {
  const control = await take(url, name, liveNamespace(targetSchema));
  try {
    if (!(await exists(control, name)))
      throw new CrosswalkError('config_invalid.rebuild_unknown', `There is no rebuild ${name}`);
    const schema = schemaOf(name);
    const { rows } = await control.query<{ settings: string; merged: string }>(
      `SELECT settings, (merged_at IS NOT NULL)::text AS merged FROM ${schema}.rebuild`,
    );
    const settings = JSON.parse(rows[0]!.settings) as Settings;
    return { name, schema, settings, control, isMerged: rows[0]!.merged === 'true', close: () => control.end() };
  } catch (error) {
    await control.end().catch(() => undefined);
    throw error;
  }
}

/** Drops a shadow with all its tables. If a session still reads it, it stays, and the log says so. */
export async function dropShadow(control: pg.ClientBase, name: string, log: Log): Promise<void> {
  try {
    await control.query(`SET lock_timeout = '${DROP_TIMEOUT}'`);
    await control.query('SELECT crosswalk.drop_shadow($1)', [name]);
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    log.warn(
      `the tables of ${schemaOf(name)} are in use: drop them with \`crosswalk rebuild --name ${name} --discard\``,
    );
  }
}

/** Drops a shadow that no process holds. Throws `config_invalid` if there is none. */
export async function discardShadow(url: string, name: string): Promise<void> {
  const control = await take(url, name);
  try {
    if (!(await exists(control, name)))
      throw new CrosswalkError('config_invalid.rebuild_gone', `There is no rebuild ${name}`);
    await control.query('SELECT crosswalk.drop_shadow($1)', [name]);
  } finally {
    await control.end();
  }
}
