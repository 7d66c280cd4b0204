import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadPipeline } from '../../../cli/load-pipeline.ts';
import { crm } from '../../support/crm.ts';

const pipeline = join(import.meta.dirname, '../../../projectors/pipeline.ts');
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crosswalk-config-'));
  // Vitest resolves imports of files that it has not seen by Node's own rules.
  writeFileSync(join(dir, 'package.json'), '{"type": "module"}');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const definition = (name: string, more = '') => `
  import { definePipeline } from ${JSON.stringify(pipeline)};
  export default definePipeline({
    name: '${name}', folder: import.meta.dirname, targetSchema: 'shop', sources: ['books'], projections: [], migrations: 'external',
    tenants: { file: 'tenants.json', parse: () => () => ({}) }, stages: ['nothing'], ${more}
  });`;
const write = (file: string, text: string) => {
  mkdirSync(join(dir, file, '..'), { recursive: true });
  writeFileSync(join(dir, file), text);
  return join(dir, file);
};

test('without a configuration it is the one that crosswalk comes with', async () => {
  expect(await loadPipeline(undefined, dir)).toBe(crm);
});

test('crosswalk.config.ts of the folder, and before it the file that is named, relative to the folder', async () => {
  write('crosswalk.config.ts', definition('here'));
  write('other/pipeline.ts', definition('there'));
  expect(await loadPipeline(undefined, dir)).toMatchObject({ name: 'here', targetSchema: 'shop' });
  expect(await loadPipeline('other/pipeline.ts', dir)).toMatchObject({ name: 'there' });
});

test.each([
  ['a file that is not there', null, /^There is no file .*missing\.ts$/],
  ['no pipeline', 'export default { name: "x" };', /config\.ts exports no pipeline$/],
  ['a file that fails', 'throw new Error("broken on purpose");', /config\.ts: Error: broken on purpose$/],
  ['a bad name', definition('No Name'), /^pipeline No Name: name must be lower-case letters, digits and _$/],
  ['a stage less than one', definition('x', 'stages: []'), /^pipeline x: stages must say what the application sees/],
  ['a schema of the engine', definition('x', "targetSchema: 'crosswalk'"), /^pipeline x: the schema crosswalk is/],
])('%s is one line with the next step', async (_, text, message) => {
  const file = text === null ? 'missing.ts' : write('config.ts', text);
  await expect(loadPipeline(file, dir)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringMatching(message),
    remedy: expect.stringMatching(/\.$/),
  });
});

test('a package that is not installed is no mistake in the file: it says where to run npm install', async () => {
  const file = write(
    'shop/config.ts',
    "import { definePipeline } from 'crosswalk';\nexport default definePipeline({});",
  );
  await expect(loadPipeline(file, dir)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining("Cannot find package 'crosswalk'"),
    remedy: `Run \`npm install\` in ${join(dir, 'shop')}, or \`npm install crosswalk\` where its package.json does not name it.`,
  });
  const other = write('shop/other.ts', "import './missing.ts';");
  await expect(loadPipeline(other, dir)).rejects.toMatchObject({ remedy: 'Correct the file.' });
});
