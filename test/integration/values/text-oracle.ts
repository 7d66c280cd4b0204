import pg from 'pg';

/** A row by column name: each cell the UTF-8 bytes of PostgreSQL's text, in hex. */
export type HexRow = Readonly<Record<string, string | null>>;

/** What the log promises to hold, said here on purpose and not taken from the code under test. */
const SETTINGS = `SET DateStyle TO 'ISO, YMD'; SET IntervalStyle TO postgres; SET TimeZone TO 'UTC'; SET bytea_output TO hex;
  SET extra_float_digits TO 1; SET lc_monetary TO 'C'; SET client_encoding TO 'UTF8'; SET quote_all_identifiers TO off;
  SET array_nulls TO on; SET xmloption TO content; SET standard_conforming_strings TO on; SET default_transaction_read_only TO off;
  SET default_transaction_isolation TO 'read committed'; SET search_path TO pg_catalog`;

/** Reads tables as PostgreSQL's output functions write them. The bytes are made by the server, so that no client's decoding is trusted. */
export interface TextOracle {
  readonly client: pg.Client;
  columnsOf(table: string): Promise<string[]>;
  /** The rows of a table (`schema.table`, quoted) by the text of its column `id`. */
  read(table: string): Promise<Map<string, HexRow>>;
}

export async function openTextOracle(url: string): Promise<TextOracle> {
  const client = new pg.Client({ connectionString: url, types: { getTypeParser: () => (text: string) => text } });
  await client.connect();
  await client.query(SETTINGS);
  async function columnsOf(table: string): Promise<string[]> {
    const { rows } = await client.query<{ attname: string }>(
      `SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
      [table],
    );
    return rows.map((row) => row.attname);
  }
  return {
    client,
    columnsOf,
    async read(table) {
      const columns = await columnsOf(table);
      // `format` writes with the type's output function, as the server does for a client; a cast to text is another function for some.
      const cells = columns.map((name) => {
        const column = pg.escapeIdentifier(name);
        return `CASE WHEN ${column} IS NOT DISTINCT FROM NULL THEN NULL ELSE encode(convert_to(format('%s', ${column}), 'UTF8'), 'hex') END`;
      });
      const { rows } = await client.query<(string | null)[]>({
        text: `SELECT id::text, ${cells.join(', ')} FROM ${table}`,
        rowMode: 'array',
      });
      return new Map(
        rows.map(([id, ...texts]) => {
          const row: Record<string, string | null> = Object.create(null);
          for (const [index, name] of columns.entries()) row[name] = texts[index]!;
          return [id!, row];
        }),
      );
    },
  };
}
