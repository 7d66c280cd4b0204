import { quoteIdent, quoteLiteral, quoteTable } from '../quote.ts';
import type { Definitions, Manifest, Statement } from './manifest.ts';

/** The same restore as a psql script, run inside the folder: for when this program is not available. */
export function toRestoreScript(manifest: Manifest, { before, after }: Definitions): string {
  const statements = (list: readonly Statement[]) =>
    list.map(({ kind, name, sql }) => `-- ${kind} ${name.replaceAll(/[\r\n]/g, ' ')}\n${sql}\n`);
  return [
    `-- Restores into an empty database: cd into this folder, then psql -v ON_ERROR_STOP=1 -f restore.sql <address>. Roles must exist, or take ON_ERROR_STOP away.\n`,
    ...[
      'SET client_min_messages = warning;',
      `SET client_encoding = 'UTF8';`,
      'SET search_path = pg_catalog;',
      'SET check_function_bodies = off;',
    ],
    ...[
      `SET DateStyle = 'ISO, YMD';`,
      `SET IntervalStyle = 'postgres';`,
      `SET TimeZone = 'UTC';`,
      `SET lc_monetary = 'C';\n`,
    ],
    ...statements(before),
    ...manifest.tables.map(({ schema, name, columns, file }) => {
      const list = columns.length === 0 ? '' : ` (${columns.map(quoteIdent).join(', ')})`;
      return `\\copy ${quoteTable(schema, name)}${list} FROM PROGRAM 'gzip -dc ${file}' WITH (FORMAT text, ENCODING '${manifest.server.encoding}')`;
    }),
    ...manifest.sequences.map((sequence) => `${toSetval(sequence)};`),
    '',
    ...statements(after),
  ].join('\n');
}

/** The statement that restores the state of a sequence. */
export function toSetval({ schema, name, lastValue, isCalled }: Manifest['sequences'][number]): string {
  const sequence = quoteLiteral(quoteTable(schema, name));
  return `SELECT setval(${sequence}::regclass, ${BigInt(lastValue)}, ${isCalled})`;
}
