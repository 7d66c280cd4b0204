// What psql does with a script, as far as `crosswalk verify --sql` uses it: variables, \gset, \connect, and an end at the first error.
import { connect } from '../../runtime/postgres.ts';

export interface PsqlResult {
  /** The rows of each statement that returned some and was not kept in variables. */
  readonly tables: readonly (readonly Record<string, string | null>[])[];
  /** psql's own: 3 where a statement failed. */
  readonly code: 0 | 3;
  readonly error: string | null;
}

interface SentResult {
  readonly rows: readonly Record<string, string | null>[];
  readonly fields?: readonly unknown[];
}

/**
 * Runs a script on `address`, and on the databases that it connects to: by the address in place of theirs in `logins`, which has passwords. Throws for a command that it does not know.
 */
export async function runPsql(
  script: string,
  address: string,
  logins: Readonly<Record<string, string>> = {},
): Promise<PsqlResult> {
  const variables = new Map<string, string>();
  const tables: PsqlResult['tables'][number][] = [];
  let client = await connect(address, 'test');
  let buffer = '';
  const send = async (): Promise<SentResult | null> => {
    const sql = buffer.replaceAll(/(?<!:):'(\w+)'/g, (_, name: string) => {
      const value = variables.get(name);
      if (value === undefined) throw new Error(`no variable ${name}`);
      return `'${value.replaceAll("'", "''")}'`;
    });
    buffer = '';
    if (sql.trim() === '') return null;
    // One query of several statements, as the simple protocol takes it; the last one's rows are what \gset keeps.
    const results = (await client.query(sql)) as unknown as SentResult | SentResult[];
    const all = Array.isArray(results) ? results : [results];
    for (const { rows } of all.slice(0, -1)) if (rows.length > 0) tables.push(rows);
    return all.at(-1)!;
  };
  try {
    for (const line of script.split('\n')) {
      const kept = /^(.*)\\gset(?: (\w+))?$/.exec(line);
      if (kept !== null) {
        buffer += kept[1];
        const { rows } = (await send())!;
        if (rows.length !== 1) throw new Error(`\\gset found ${rows.length} rows`);
        for (const [name, value] of Object.entries(rows[0]!)) variables.set(`${kept[2] ?? ''}${name}`, value ?? '');
        continue;
      }
      const connection = /^\\connect -reuse-previous=off '(.*)'$/.exec(line);
      if (connection !== null) {
        await send();
        await client.end();
        client = await connect(logins[connection[1]!] ?? connection[1]!, 'test');
        continue;
      }
      if (line === '\\set ON_ERROR_STOP on') continue;
      if (line.startsWith('\\')) throw new Error(`unknown: ${line}`);
      buffer += `${line}\n`;
      // psql sends what a semicolon at the end of a line ends, outside of a body between dollars.
      if (line.endsWith(';') && (buffer.match(/\$\$/g)?.length ?? 0) % 2 === 0) {
        const last = await send();
        if (last !== null && last.rows.length > 0) tables.push(last.rows);
      }
    }
    return { tables, code: 0, error: null };
  } catch (error) {
    if ((error as { code?: unknown }).code === undefined) throw error;
    return { tables, code: 3, error: (error as Error).message };
  } finally {
    await client.end();
  }
}
