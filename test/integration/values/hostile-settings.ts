import pg from 'pg';

/** Settings that change how PostgreSQL writes or reads a value, none of them what the connector needs. */
const HOSTILE: Readonly<Record<string, string>> = {
  DateStyle: "'SQL, DMY'",
  IntervalStyle: 'iso_8601',
  TimeZone: "'Asia/Kathmandu'",
  bytea_output: 'escape',
  extra_float_digits: '-15',
  xmloption: 'document',
  xmlbinary: 'hex',
  client_encoding: 'LATIN1',
  standard_conforming_strings: 'off',
  backslash_quote: 'off',
  quote_all_identifiers: 'on',
  array_nulls: 'off',
  transform_null_equals: 'on',
  default_text_search_config: "'pg_catalog.german'",
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  search_path: 'hostile, pg_catalog, public',
};
/** Where money has another sign and another point; the first that the server knows is taken. */
const LOCALES = ['de_DE.UTF-8', 'de_DE.utf8', 'en_GB.UTF-8', 'en_US.UTF-8', 'en_US.utf8'];

/**
 * Turns a database against whoever connects from now on: half of the settings are its own, half belong to the role in it.
 * Functions that stand before PostgreSQL's in its search path answer nonsense.
 */
export async function makeHostile(client: pg.Client): Promise<void> {
  await client.query(`CREATE SCHEMA hostile;
    CREATE FUNCTION hostile.pg_current_snapshot() RETURNS text LANGUAGE sql AS $$ SELECT 'no snapshot' $$;
    CREATE FUNCTION hostile.format_type(oid, int4) RETURNS text LANGUAGE sql AS $$ SELECT 'text' $$`);
  const { rows } = await client.query<{ name: string }>('SELECT current_database() AS name');
  const database = pg.escapeIdentifier(rows[0]!.name);
  const places = [`DATABASE ${database}`, `ROLE CURRENT_USER IN DATABASE ${database}`];
  for (const [index, [name, value]] of Object.entries(HOSTILE).entries())
    await client.query(`ALTER ${places[index % 2]} SET ${name} TO ${value}`);
  for (const locale of LOCALES) {
    const isKnown = await client.query(`ALTER ${places[0]} SET lc_monetary TO '${locale}'`).then(
      () => true,
      () => false,
    );
    if (isKnown) break;
  }
}
