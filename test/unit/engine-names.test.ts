// The engine names no table, schema or stage of a pipeline: what it knows of one it is given.
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { targetTables } from '../../projectors/write/catalog.ts';
import { crm } from '../support/crm.ts';

const root = resolve(import.meta.dirname, '../..');
const ENGINE = [
  'assess',
  'changes',
  'cli',
  'connectors',
  'monitor',
  'projectors',
  'runtime',
  'scaffold',
  'schemas',
  'testkit',
];
/** A pipeline itself, the first one of a newcomer: it names its own tables. */
const TEMPLATE = 'scaffold/template/';
const files = ENGINE.flatMap((folder) => globSync(`${folder}/**/*.{ts,sql,sh,json}`, { cwd: root }))
  .filter((file) => !file.startsWith(TEMPLATE))
  .sort();
/** Tables whose names are also words of every day: they count where SQL or a string names them. */
const WORDS = new Set([
  'messages',
  'orders',
  'leads',
  'clients',
  'campaigns',
  'quotes',
  'tenants',
  'rejects',
  'payments',
]);

const tables = [...new Set([...crm.sources, ...crm.projections.flatMap(targetTables)])];
const plain = tables.filter((table) => !WORDS.has(table));
const named = [crm.targetSchema, ...plain].map((name) => new RegExp(`\\b${name}\\b`, 'i'));
/** As one of a schema, quoted, or behind a keyword. `tenants` and `rejects` are commands and settings too. */
const inSql = [...WORDS]
  .filter((word) => word !== 'tenants' && word !== 'rejects')
  .flatMap((word) => [
    new RegExp(`\\b(?:FROM|JOIN|INTO|UPDATE|TABLE|ON) (?:[a-z_]+\\.)?"?${word}\\b`),
    new RegExp(`'${word}'`),
  ]);

/** The one place that knows where the shipped pipeline is. */
const LOADER = 'cli/load-pipeline.ts';

describe('the engine', () => {
  test('is looked at as a whole', () => expect(files.length).toBeGreaterThan(250));

  test.each(files)('%s names nothing of a pipeline', (file) => {
    const lines = readFileSync(join(root, file), 'utf8').split('\n');
    const wrong = lines.filter(
      (line) =>
        !(file === LOADER && line.includes('pipelines/crm')) && [...named, ...inSql].some((name) => name.test(line)),
    );
    expect(wrong).toEqual([]);
  });
});
