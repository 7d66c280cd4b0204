import type pg from 'pg';
import { readAccess } from './ddl/access.ts';
import type { DdlItem } from './ddl/item.ts';
import { orderItems } from './ddl/order.ts';
import { readDdl, readNeededExtensions } from './ddl/read-ddl.ts';
import { readTableParts } from './ddl/table-parts.ts';
import type { Definitions, Statement } from './manifest.ts';
import { canBeToldToPgDump, dumpDefinitions, type Environment, findPgDump } from './pg-dump.ts';

/** Manifest value of `definedBy` for definitions read from the catalog. */
export const CATALOG = 'catalog';

/**
 * Reads the definitions of some schemas in the snapshot of the caller's transaction; also returns the tool that wrote
 * them. `snapshot` is its name for pg_dump. `withoutPgDump`: never uses pg_dump.
 */
export async function readDefinitions(
  client: pg.ClientBase,
  source: {
    readonly url: string;
    readonly major: number;
    readonly snapshot: string;
    readonly env: Environment;
    readonly signal: AbortSignal;
  },
  schemas: readonly string[],
  withoutPgDump = false,
): Promise<{ definitions: Definitions; definedBy: string }> {
  const isAsked = !withoutPgDump && canBeToldToPgDump(source.url);
  const version = !isAsked ? null : await findPgDump(source.major, source.env);
  if (version === null) {
    const { before, after } = await readDdl(client, schemas);
    return { definitions: { before: before.map(toStatement), after: after.map(toStatement) }, definedBy: CATALOG };
  }
  const dump = await dumpDefinitions(source.url, schemas, source.snapshot, source.env, source.signal);
  const extensions = await readNeededExtensions(client, schemas);
  const access = (await readAccess(client, schemas)).filter(({ kind }) => kind !== 'comment');
  // Without rows, pg_dump leaves materialised views empty, too.
  const refreshes = (await readTableParts(client, schemas)).filter(({ kind }) => kind === 'materialized rows');
  return {
    definitions: {
      before: [...extensions.map(toStatement), ...dump.before],
      after: [...dump.after, ...[...orderItems(refreshes, []).after, ...sortAccess(access)].map(toStatement)],
    },
    definedBy: `pg_dump ${version}`,
  };
}

function toStatement({ kind, name, roles, sql }: DdlItem): Statement {
  return { kind, name, roles: [...roles], sql };
}

/** Owners first, since only owners can grant. What is revoked from PUBLIC comes before grants. */
function sortAccess(items: readonly DdlItem[]): DdlItem[] {
  const rank = ({ kind, id }: DdlItem) => (kind === 'owner' ? 0 : id.endsWith(':revoke') ? 1 : 2);
  return [...items].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
