import type { DevelopmentData } from '../../projectors/pipeline.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { openOwner } from '../phases/open-run.ts';
import { toTableLines } from '../quantity-text.ts';

export interface SeedOptions {
  readonly development?: boolean;
  readonly tenant?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

type Outcome = 'seeded' | 'dry run' | 'refused';

/**
 * Adds the pipeline's development rows to the new schema, all or none. Returns false, and adds nothing, if there already are rows of the application. A dry run adds the
 * same rows and rolls back. Throws `config_invalid` without `--development`, and if the pipeline has no such rows.
 */
export async function seed(context: CommandContext, options: SeedOptions): Promise<boolean> {
  const { pipeline } = context;
  if (options.development !== true)
    throw new CrosswalkError('config_invalid.not_for_developers', 'Rows are made up only for a database of developers');
  const data = await pipeline.developmentData?.();
  if (data === undefined)
    throw new CrosswalkError(
      'config_invalid.no_development_data',
      `Pipeline ${pipeline.name} has no rows for development`,
    );
  const tenant = options.tenant?.trim() ?? data.tenant;
  if (tenant === '' || tenant === 'all')
    throw new CrosswalkError('config_invalid.argument_missing', 'No tenant is named', {
      argument: 'the id of one tenant to --tenant',
    });
  const { outcome, rows } = await addRows(context, data, tenant, options.dryRun === true);
  if (options.json) printJson({ outcome, tenant, rows });
  else for (const line of toLines(outcome, tenant, rows, pipeline.stages.length - 1)) print(line);
  return outcome !== 'refused';
}

/** `rows`: those added, or those already present, by table. */
async function addRows(
  context: CommandContext,
  data: DevelopmentData,
  tenant: string,
  isDry: boolean,
): Promise<{ outcome: Outcome; rows: Readonly<Record<string, number>> }> {
  const target = await openOwner(context, 'target');
  try {
    await target.query('BEGIN');
    // Of two concurrent runs, the second one finds the rows of the first.
    await target.query(`SELECT pg_advisory_xact_lock(hashtextextended('crosswalk.seed', 0))`);
    const found = await data.countRows(target);
    if (Object.keys(found).length > 0) return { outcome: 'refused', rows: found };
    const rows = await data.insert(target, tenant);
    await target.query(isDry ? 'ROLLBACK' : 'COMMIT');
    return { outcome: isDry ? 'dry run' : 'seeded', rows };
  } finally {
    // Rolls back what is not committed.
    await target.end().catch(() => undefined);
  }
}

function toLines(
  outcome: Outcome,
  tenant: string,
  rows: Readonly<Record<string, number>>,
  highest: number,
): readonly string[] {
  const table = toTableLines(
    Object.entries(rows).map(([name, count]) => [name, String(count)]),
    [1],
  );
  if (outcome === 'refused')
    return [
      'Refused: rows of the application are there already.',
      ...table,
      'Next: take an empty database, or leave this one as it is.',
    ];
  return [
    ...table,
    `Tenant ${tenant} ${outcome === 'dry run' ? 'would have' : 'has'} these rows.`,
    ...(outcome === 'dry run'
      ? []
      : [
          `Next: the application sees them from the tenant's stage on: \`crosswalk stage set ${tenant} ${highest} --by NAME --force --reason development\`.`,
        ]),
  ];
}
