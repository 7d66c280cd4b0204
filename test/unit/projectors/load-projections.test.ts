import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadProjections } from '../../../projectors/load-projections.ts';
import { crm } from '../../support/crm.ts';

const engine = JSON.stringify(join(import.meta.dirname, '../../../projectors/projection.ts'));
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crosswalk-projections-'));
  writeFileSync(join(dir, 'package.json'), '{"type": "module"}');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const rest = `version: '1', source: 'a', requires: [], reads: [], owned: [], aggregates: [], map: () => ({ rows: {}, contributions: [] })`;
const define = (name: string) => `defineProjection({ name: '${name}', ${rest} })`;
const write = (file: string, text: string) =>
  writeFileSync(join(dir, file), `import { defineHistory, defineProjection } from ${engine};\n${text}`);

test('every export of every file, a copy too; not what helpers in subfolders, tests and declarations hold', async () => {
  write(
    'b.ts',
    `export const b = ${define('b')};\nexport const copied = { ...b, name: 'copied' };\nexport const other = 1;`,
  );
  write('a.ts', `export const a = ${define('a')};`);
  write('a.test.ts', `throw new Error('a test');`);
  write('a.d.ts', '');
  mkdirSync(join(dir, 'a'));
  write('a/helper.ts', `export const hidden = ${define('hidden')};`);
  write(
    'history.ts',
    `export const h = defineHistory({ name: 'h', version: '1', source: 'a', requires: [], reads: [], history: { targets: [], scope: { column: 'id', of: (k) => k }, stateOf: () => null, rowsOf: () => ({}) } });`,
  );
  write('z.ts', `export const z = ${define('z')};`);
  expect((await loadProjections(dir)).map(({ name }) => name)).toEqual(['a', 'b', 'copied', 'z', 'h']);
});

test('a folder without any is a mistake', async () => {
  write('a.ts', 'export const a = 1;');
  await expect(loadProjections(dir)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('exports a projection'),
  });
});

test('the shipped pipeline has its own, in the order of its sources, histories last', () => {
  const folder = join(crm.folder, 'projections');
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts'));
  const names = new Set(crm.projections.map(({ name }) => name));
  expect(names.size).toBe(crm.projections.length);
  for (const file of files)
    expect([...readFileSync(join(folder, file), 'utf8').matchAll(/^ {2}name: '([a-z_]+)',$/gm)], file).toSatisfy(
      (found: RegExpMatchArray[]) => found.length > 0 && found.every(([, name]) => names.delete(name!)),
    );
  expect([...names]).toEqual([]);
  const places = crm.projections.map(({ source, history }) => [history !== undefined, crm.sources.indexOf(source)]);
  expect(places).toEqual(places.toSorted(([a, m], [b, n]) => Number(a) - Number(b) || Number(m) - Number(n)));
});
