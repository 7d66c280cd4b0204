import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isPipeline, type Pipeline } from '../projectors/pipeline.ts';
import { CrosswalkError } from '../runtime/errors.ts';

const NAMES = ['crosswalk.config.ts', 'crosswalk.config.js', 'crosswalk.config.mjs'];
const SHIPPED = join(
  import.meta.dirname,
  '../pipelines/crm',
  `pipeline${import.meta.filename.endsWith('.ts') ? '.ts' : '.js'}`,
);

/**
 * The pipeline that a file's default export defines: the file given, else `crosswalk.config.ts` in `folder`, else the one that crosswalk comes with. Throws `config_invalid`, naming the file,
 * where it is missing, fails, or exports something else.
 */
export async function loadPipeline(given: string | undefined, folder = process.cwd()): Promise<Pipeline> {
  const file = given === undefined ? findConfig(folder) : resolve(folder, given);
  if (!existsSync(file))
    throw new CrosswalkError('config_invalid', `There is no file ${file}`, 'Correct --config or CROSSWALK_CONFIG.');
  const { default: exported } = (await import(pathToFileURL(file).href).catch((error: unknown) => {
    if (error instanceof CrosswalkError) throw error;
    throw new CrosswalkError('config_invalid', `${file}: ${String(error)}`, 'Correct the file.', error);
  })) as { default?: unknown };
  if (!isPipeline(exported))
    throw new CrosswalkError(
      'config_invalid',
      `${file} exports no pipeline`,
      'Write `export default definePipeline({ … })`: docs/your-own-tables.md.',
    );
  return exported;
}

function findConfig(folder: string): string {
  return NAMES.map((name) => join(folder, name)).find((file) => existsSync(file)) ?? SHIPPED;
}
