import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
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
 * Loads the pipeline that a file exports by default: the given file, else `crosswalk.config.ts` in `folder`, else the one shipped with crosswalk. Throws `config_invalid`
 * with the file name if the file is missing, fails, or exports something else.
 */
export async function loadPipeline(given: string | undefined, folder = process.cwd()): Promise<Pipeline> {
  const file = given === undefined ? findConfig(folder) : resolve(folder, given);
  if (!existsSync(file)) throw new CrosswalkError('config_invalid.config_file', `There is no file ${file}`);
  const { default: exported } = (await import(pathToFileURL(file).href).catch((error: unknown) => {
    if (error instanceof CrosswalkError) throw error;
    throw toLoadError(file, error);
  })) as { default?: unknown };
  if (!isPipeline(exported)) throw new CrosswalkError('config_invalid.no_pipeline', `${file} exports no pipeline`);
  return exported;
}

/** A missing package, most likely crosswalk itself, is not an error in the file. */
function toLoadError(file: string, error: unknown): CrosswalkError {
  const message = `${file}: ${String(error)}`;
  const missing = /Cannot find package '([^']+)'/.exec(message)?.[1];
  return missing === undefined
    ? new CrosswalkError('config_invalid.config_fails', message, { cause: error })
    : new CrosswalkError('config_invalid.package_missing', message, {
        name: missing,
        folder: dirname(file),
        cause: error,
      });
}

function findConfig(folder: string): string {
  return NAMES.map((name) => join(folder, name)).find((file) => existsSync(file)) ?? SHIPPED;
}
