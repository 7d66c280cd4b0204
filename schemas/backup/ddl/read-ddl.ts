// Reads definitions of schemas from the catalog, for machines without a pg_dump of the server's own major version on
// the PATH, which is preferred otherwise (../pg-dump.ts). Needed because no package provides one everywhere: the npm
// packages of PostgreSQL have only initdb, pg_ctl and postgres, Debian has the client of one major version (15 in
// bookworm), and an older pg_dump refuses a newer server. That must not make a backup impossible.

import type pg from 'pg';
import { CrosswalkError } from '../../../runtime/errors.ts';
import { readAccess } from './access.ts';
import type { DdlItem } from './item.ts';
import { type Dependency, orderItems } from './order.ts';
import { readExtensions, readRelations } from './relations.ts';
import { readTableParts } from './table-parts.ts';
import { readTypesAndRoutines } from './types.ts';

/** The statements that create some schemas with everything in them: `before` their rows are loaded, and `after`. */
export interface Ddl {
  readonly before: readonly DdlItem[];
  readonly after: readonly DdlItem[];
}

/**
 * Reads the definition of these schemas from the catalog. The session's search path must be pg_catalog alone, so that
 * every other name is written with its schema. Throws `backup_invalid` if they hold or need something that cannot be
 * written: nothing is left out silently.
 */
export async function readDdl(client: pg.ClientBase, schemas: readonly string[]): Promise<Ddl> {
  const own = await readOwn(client, schemas);
  const dependencies = await readDependencies(client);
  const items = [...own, ...(await chooseExtensions(client, schemas, own, dependencies))];
  await refuseUnsupported(client, schemas, new Set(items.flatMap(({ id, aliases }) => [id, ...aliases])), dependencies);
  return orderItems([...items, ...(await readAccess(client, schemas))], dependencies);
}

/** The extensions that are in these schemas, or that an object in them needs. */
export async function readNeededExtensions(client: pg.ClientBase, schemas: readonly string[]): Promise<DdlItem[]> {
  return await chooseExtensions(client, schemas, await readOwn(client, schemas), await readDependencies(client));
}

async function readOwn(client: pg.ClientBase, schemas: readonly string[]): Promise<DdlItem[]> {
  return [
    ...(await readRelations(client, schemas)),
    ...(await readTypesAndRoutines(client, schemas)),
    ...(await readTableParts(client, schemas)),
  ];
}

async function chooseExtensions(
  client: pg.ClientBase,
  schemas: readonly string[],
  own: readonly DdlItem[],
  dependencies: readonly Dependency[],
): Promise<DdlItem[]> {
  const known = new Set(own.flatMap(({ id, aliases }) => [id, ...aliases]));
  const on = new Set(dependencies.filter(([address]) => known.has(address)).map(([, needed]) => needed));
  return (await readExtensions(client)).filter(
    ({ id, aliases, sql }) =>
      schemas.some((schema) => sql.endsWith(`WITH SCHEMA ${quoted(schema)};`)) ||
      [id, ...aliases].some((member) => on.has(member)),
  );
}

const quoted = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

/**
 * Dependencies between objects, without those internal to PostgreSQL: a sequence gets its owning column only after both
 * are created, and an index of a partition is created before that of its table.
 */
async function readDependencies(client: pg.ClientBase): Promise<Dependency[]> {
  const { rows } = await client.query<{ address: string; on: string }>(
    `SELECT DISTINCT d.classid::regclass || ':' || d.objid AS address, d.refclassid::regclass || ':' || d.refobjid AS on
     FROM pg_depend d WHERE d.deptype IN ('n', 'a', 'i') AND (d.refobjid >= 16384 OR d.refclassid = 'pg_namespace'::regclass)
       AND NOT (d.deptype = 'a' AND d.classid = 'pg_class'::regclass AND d.refobjsubid > 0 AND EXISTS (SELECT FROM pg_class c WHERE c.oid = d.objid AND c.relkind = 'S'))`,
  );
  return rows.map(({ address, on }) => [address, on] as const);
}

interface Foreign {
  readonly address: string;
  readonly what: string;
}

async function refuseUnsupported(
  client: pg.ClientBase,
  schemas: readonly string[],
  known: ReadonlySet<string>,
  dependencies: readonly Dependency[],
): Promise<void> {
  const { rows } = await client.query<Foreign>(
    `SELECT d.classid::regclass || ':' || d.objid AS address, i.type || ' ' || i.identity AS what
     FROM pg_depend d JOIN pg_namespace n ON d.refclassid = 'pg_namespace'::regclass AND n.oid = d.refobjid CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS i
     WHERE n.nspname = ANY ($1) AND d.classid NOT IN ('pg_default_acl'::regclass, 'pg_publication_namespace'::regclass)
       AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = d.classid AND x.objid = d.objid AND x.deptype IN ('e', 'i'))
     UNION ALL SELECT 'pg_attrdef:' || a.oid, 'default of view column ' || c.oid::regclass FROM pg_attrdef a JOIN pg_class c ON c.oid = a.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'v' AND n.nspname = ANY ($1)
     UNION ALL SELECT 'pg_seclabel:' || l.objoid, 'security label of ' || (pg_identify_object(l.classoid, l.objoid, 0)).identity FROM pg_seclabel l
     WHERE (pg_identify_object(l.classoid, l.objoid, 0)).schema = ANY ($1) ORDER BY 2`,
    [schemas],
  );
  const unwritten = rows.filter(({ address }) => !known.has(address)).map(({ what }) => what);
  if (unwritten.length > 0)
    throw new CrosswalkError(
      'backup_invalid.pg_dump_missing',
      `Cannot be written without pg_dump: ${unwritten.slice(0, 10).join(', ')}${unwritten.length > 10 ? ` and ${unwritten.length - 10} more` : ''}`,
    );
  const outside = new Set(
    dependencies.filter(([address, on]) => known.has(address) && !known.has(on)).map(([, on]) => on),
  );
  if (outside.size === 0) return;
  const { rows: needed } = await client.query<Foreign>(
    `SELECT a.address, i.type || ' ' || i.identity AS what FROM unnest($1::text[]) AS a (address)
     CROSS JOIN LATERAL pg_identify_object(split_part(a.address, ':', 1)::regclass, split_part(a.address, ':', 2)::oid, 0) AS i
     WHERE i.type IS NOT NULL AND coalesce(i.schema, '') NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND i.type NOT IN ('schema', 'toast table', 'language', 'access method', 'extension', 'role')
     ORDER BY 2`,
    [[...outside]],
  );
  if (needed.length > 0)
    throw new CrosswalkError(
      'backup_invalid.other_schemas',
      `These schemas need what is not in them: ${needed
        .slice(0, 10)
        .map(({ what }) => what)
        .join(', ')}`,
    );
}
