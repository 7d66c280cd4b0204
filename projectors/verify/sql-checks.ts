import { addressOf } from '../../runtime/postgres.ts';
import { quoteIdent } from '../../schemas/quote.ts';

/** SQL of a pipeline that creates a temporary view `figures (name, value)` with numeric values: one part for a legacy database, one for the new schema. */
export interface SqlChecks {
  readonly legacy: string;
  readonly target: string;
}

const PART = /^-- crosswalk: (legacy|target)\s*$/m;

/** Reads a file of checks. A part begins with a line `-- crosswalk: legacy` or `-- crosswalk: target`. Throws an Error if a part is missing or duplicated. */
export function parseSqlChecks(text: string): SqlChecks {
  const [, ...pieces] = text.split(new RegExp(PART, 'gm'));
  const found = new Map<string, string>();
  for (let at = 0; at < pieces.length; at += 2) {
    if (found.has(pieces[at]!)) throw new Error(`has two parts \`-- crosswalk: ${pieces[at]}\``);
    found.set(pieces[at]!, pieces[at + 1]!.trim());
  }
  const partOf = (name: 'legacy' | 'target') => {
    const part = found.get(name);
    if (part === undefined) throw new Error(`has no part \`-- crosswalk: ${name}\``);
    return part;
  };
  return { legacy: partOf('legacy'), target: partOf('target') };
}

/** One database or two. With two, the psql script connects to the second itself. */
export interface ScriptAddresses {
  readonly legacyUrl: string;
  readonly targetUrl: string;
  readonly legacySchema: string;
  readonly targetSchema: string;
}

/** Whether the new schema is in the legacy database, judged by the addresses. Two names of one server count as two; the script is still correct. */
export function isOneDatabase({ legacyUrl, targetUrl }: Pick<ScriptAddresses, 'legacyUrl' | 'targetUrl'>): boolean {
  return addressOf(legacyUrl) === addressOf(targetUrl);
}

/** Output ends up in files and process lists, so it must not contain the password. */
function withoutPassword(address: string): string {
  const url = new URL(address);
  url.password = '';
  url.searchParams.delete('password');
  return url.href;
}

/** Starts the part for one database. The parts create only temporary objects, which are rolled back. All of it runs in one snapshot. */
const BEGIN = ['BEGIN ISOLATION LEVEL REPEATABLE READ;', "SET LOCAL TimeZone = 'UTC';"];
const setPath = (...schemas: readonly string[]) => `SET LOCAL search_path = ${schemas.map(quoteIdent).join(', ')};`;
/** psql keeps the figures in a variable, also across connections. */
const keep = (side: 'legacy' | 'target') =>
  `SELECT coalesce(jsonb_object_agg(name, value), '{}')::text AS figures FROM pg_temp.figures \\gset ${side}_`;
const FIGURES = `FROM jsonb_each_text(:'legacy_figures'::jsonb) AS l FULL JOIN jsonb_each_text(:'target_figures'::jsonb) AS t ON t.key = l.key`;
/** A figure that only the new tables have counts rows that must not exist. */
const IS_RIGHT = `coalesce(coalesce(l.value, '0')::numeric = t.value::numeric, false)`;

/** The checks as one psql script. It prints a line for each figure and exits with code 3 unless all agree. */
export function toPsqlScript({ legacy, target }: SqlChecks, name: string, addresses: ScriptAddresses): string {
  const isOne = isOneDatabase(addresses);
  const { legacySchema, targetSchema } = addresses;
  return [
    `-- Checks on the whole of ${name}, for psql: figures of the legacy tables and of the new ones, side by side.`,
    '-- Run them when nobody writes the legacy tables and `crosswalk wait` has come to its end: otherwise the new tables are a little behind, or ahead.',
    ...(isOne
      ? [
          `--   psql -X -f checks.sql ${withoutPassword(addresses.targetUrl)}`,
          '-- The login must read both schemas, and may make temporary tables. Both are read in one snapshot.',
        ]
      : [
          `--   psql -X -f checks.sql ${withoutPassword(addresses.legacyUrl)}`,
          '-- It begins in the legacy database, reads its figures, and takes them along to the other one. psql asks for passwords, or finds them in ~/.pgpass. Another login there: change the line \\connect.',
          '-- Each login must read its schema, and may make temporary tables.',
        ]),
    '-- It ends with exit code 3 where a figure is not as it must be. Nothing that it makes stays.',
    '',
    '\\set ON_ERROR_STOP on',
    ...BEGIN,
    setPath(legacySchema),
    '',
    legacy,
    '',
    keep('legacy'),
    ...(isOne
      ? ['DROP VIEW pg_temp.figures;']
      : [
          'ROLLBACK;',
          `\\connect -reuse-previous=off '${withoutPassword(addresses.targetUrl).replaceAll("'", "''")}'`,
          ...BEGIN,
        ]),
    setPath(targetSchema, 'crosswalk'),
    '',
    target,
    '',
    keep('target'),
    'ROLLBACK;',
    '',
    `SELECT coalesce(t.key, l.key) AS "check", coalesce(l.value, '0') AS expected, t.value AS found, CASE WHEN ${IS_RIGHT} THEN 'PASS' ELSE 'FAIL' END AS status`,
    `  ${FIGURES} ORDER BY 1;`,
    `SELECT set_config('crosswalk.failed', coalesce(string_agg(coalesce(t.key, l.key), '; ' ORDER BY coalesce(t.key, l.key)), ''), false) AS failed`,
    `  ${FIGURES} WHERE NOT ${IS_RIGHT} \\gset`,
    `DO $$ BEGIN IF current_setting('crosswalk.failed') <> '' THEN RAISE EXCEPTION 'FAILED: %', current_setting('crosswalk.failed'); END IF; END $$;`,
    '',
  ].join('\n');
}
