import { readTenants } from '../../projectors/read-tenants.ts';
import { readMapping } from '../../projectors/rebuild/mapping.ts';
import { type RebuildResult, rebuild as runRebuild } from '../../projectors/rebuild/rebuild.ts';
import { discardShadow } from '../../projectors/rebuild/shadow.ts';
import { parseStart } from '../../projectors/rebuild/start.ts';
import { CrosswalkError, toCrosswalkError } from '../../runtime/errors.ts';
import { addressOf } from '../../runtime/postgres.ts';
import { confirm } from '../confirm.ts';
import { type CommandContext, print, printJson } from '../context.ts';
import { createProgress } from '../progress.ts';
import { masked, toReportLines, toResultLines } from '../rebuild-text.ts';
import { chooseProjections } from './project.ts';

const LOCK_TIMEOUT_MS = 30_000;

export interface RebuildCommandOptions {
  readonly from: string;
  readonly name?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly resume?: boolean;
  readonly discard?: boolean;
  readonly maxRate?: number;
  readonly limit: number;
  readonly unmask?: boolean;
  readonly json?: boolean;
}

/** Replays projections into shadow tables, reports the differences, and merges them after a confirmation. Returns false if the result is not as it should be. */
export async function rebuild(
  context: CommandContext,
  given: readonly string[],
  options: RebuildCommandOptions,
): Promise<boolean> {
  const names = [...new Set(given)];
  const { pipeline, config, log, signal, isTerminal } = context;
  const chosen = chooseProjections(pipeline.projections, names.includes('all') ? [] : names);
  const name = options.name ?? toName(names);
  const command = `crosswalk rebuild ${names.join(' ')}${options.name === undefined ? '' : ` --name ${options.name}`}`;
  try {
    if (options.discard) {
      await discardShadow(config.targetUrl(), name);
      if (options.json) printJson({ state: 'discarded', name });
      else print(`crosswalk_shadow_${name} is dropped`);
      return true;
    }
    // Checked before the work, and not after hours of it.
    if (!options.dryRun && !options.yes && (options.json || !isTerminal || process.stdin.isTTY !== true)) {
      throw new CrosswalkError('config_invalid.unconfirmed', 'Nobody can be asked whether to merge', {
        consequence: 'merge what differs',
      });
    }
    const progress = createPhases(context, options.json === true);
    const tell = (result: RebuildResult) => {
      progress.close();
      if (options.json || result.report === null) return;
      for (const line of toReportLines(result.report, { limit: options.limit, unmask: options.unmask === true }))
        print(line);
      print();
    };
    let isTold = false;
    const result = await runRebuild(
      config,
      {
        ...{
          name,
          projections: chosen,
          all: pipeline.projections,
          tenants: readTenants(pipeline),
          mapping: readMapping(pipeline, chosen),
        },
        ...{ start: parseStart(options.from), resume: options.resume === true, dryRun: options.dryRun === true },
        ...{ maxRate: options.maxRate ?? null, limit: options.limit, lockTimeoutMs: LOCK_TIMEOUT_MS },
      },
      {
        log,
        signal,
        onProgress: progress.update,
        confirm: async (found) => {
          if (options.yes) return true;
          tell(found);
          isTold = true;
          return await confirm(context, 'Write this into the live tables?');
        },
      },
    );
    if (!isTold || result.state === 'refused') tell(result);
    progress.close();
    if (options.json)
      printJson(options.unmask || result.report === null ? result : { ...result, report: masked(result.report) });
    else for (const line of toResultLines(result, command)) print(line);
    const isDone = ['equal', 'previewed', 'merged'].includes(result.state);
    return isDone && (result.report === null || result.report.failures.length === 0);
  } catch (error) {
    throw toCrosswalkError(error, `target database ${addressOf(config.targetUrl())}`);
  }
}

/** Default name of a rebuild: the names of the projections. */
function toName(names: readonly string[]): string {
  const name = names.includes('all') ? 'all' : names.toSorted().join('_');
  return name.length <= 31 ? name : 'several';
}

/** Shows one progress bar per phase, in sequence. */
function createPhases({ isTerminal }: CommandContext, isSilent: boolean) {
  const labels = { replay: 'replaying', compare: 'comparing' };
  let current: { phase: keyof typeof labels; bar: ReturnType<typeof createProgress> } | null = null;
  return {
    update(phase: keyof typeof labels, done: number, total: number) {
      if (isSilent) return;
      if (current?.phase !== phase) {
        current?.bar.close();
        const write = (text: string) => process.stdout.write(text);
        current = { phase, bar: createProgress({ label: labels[phase], total, isTerminal, write }) };
      }
      current.bar.update(done, total);
    },
    close() {
      current?.bar.close();
    },
  };
}
