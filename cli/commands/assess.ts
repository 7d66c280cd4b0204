import { writeFile } from 'node:fs/promises';
import { assess as assessDatabase } from '../../assess/assess.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { toPage } from '../assess/page.ts';
import { toLines } from '../assess/text.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { createProgress } from '../progress.ts';

const SAMPLE_ROWS = 10_000;
/** Seconds between two reads of the end of the WAL. */
const WAL_SECONDS = 3;

/** Command line options. */
export interface AssessCommandOptions {
  readonly full?: boolean;
  readonly sample?: number;
  readonly rate?: number;
  readonly html?: string;
  readonly json?: boolean;
}

/** Inspects a legacy database before anything is set up; reads only. Returns whether nothing blocks a migration. */
export async function assess(context: CommandContext, options: AssessCommandOptions): Promise<boolean> {
  const { pipeline, config, signal } = context;
  const progress = options.json
    ? null
    : createProgress({
        ...{ label: 'rows mapped', total: 0, isTerminal: context.isTerminal },
        write: (text) => process.stderr.write(text),
        columns: process.stderr.columns ?? 80,
      });
  let isShown = false;
  const report = await assessDatabase(
    config,
    {
      name: pipeline.name,
      legacySchema: config.legacySchema,
      sources: config.tables,
      projections: pipeline.projections,
      tenants: readTenants(pipeline),
      hints: (...given) => pipeline.tenants.hints?.(...given) ?? Promise.resolve([]),
      rejects: pipeline.rejects ?? null,
      foldedRejects: pipeline.foldedRejects ?? [],
    },
    {
      ...{ full: options.full ?? false, sampleRows: options.sample ?? SAMPLE_ROWS, rate: options.rate ?? null },
      ...{ walSeconds: WAL_SECONDS, signal },
      onProgress: (rows, total) => {
        isShown = true;
        progress?.update(rows, total);
      },
    },
  ).finally(() => {
    if (isShown) progress?.close();
  });
  if (options.html !== undefined) await writePage(options.html, toPage(report));
  if (options.json) printJson(report);
  else for (const line of toLines(report)) print(line);
  return report.verdict !== 'blocked';
}

async function writePage(file: string, page: string): Promise<void> {
  try {
    await writeFile(file, page);
  } catch (error) {
    throw new CrosswalkError(
      'config_invalid.page_unwritable',
      `The page could not be written: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
      { cause: error },
    );
  }
}
