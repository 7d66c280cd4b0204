import { projectorHealth } from '../../monitor/health.ts';
import { serveHealth } from '../../monitor/http.ts';
import { createLagWatch } from '../../monitor/lag-watch.ts';
import { registerProjectorMetrics } from '../../monitor/metrics.ts';
import { createLagSampler } from '../../monitor/stages/lag-samples.ts';
import { watchStall } from '../../monitor/watchdog.ts';
import { runProjectors } from '../../projectors/project.ts';
import type { Projection } from '../../projectors/projection.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { createProjectionStatus } from '../../projectors/status.ts';
import { CrosswalkError } from '../../runtime/errors.ts';
import type { CommandContext } from '../context.ts';

/** Runs one projector process until SIGTERM. */
export async function project(
  { pipeline, config, log, giveUp, signal }: CommandContext,
  names: readonly string[],
): Promise<boolean> {
  const chosen = chooseProjections(pipeline.projections, names);
  const statuses = new Map(chosen.map((projection) => [projection.name, createProjectionStatus(projection.name)]));
  registerProjectorMetrics([...statuses.values()]);
  const health = () => projectorHealth([...statuses.values()], config);
  const server = await serveHealth(config, health);
  const watchdog = watchStall(health, giveUp);
  const watch = createLagWatch(config, chosen, statuses, {
    log,
    onLags: createLagSampler(config.targetUrl(), chosen, { log }).note,
  });
  try {
    await runProjectors(config, chosen, readTenants(pipeline), statuses, { log, signal });
  } finally {
    watchdog.close();
    watch.close();
    await server.close();
  }
  return true;
}

/** Projections by name, without duplicates; all of them if no name is given. Throws `config_invalid` for an unknown one. */
export function chooseProjections(projections: readonly Projection[], names: readonly string[]): readonly Projection[] {
  if (names.length === 0) return projections;
  return [...new Set(names)].map((name) => {
    const found = projections.find((projection) => projection.name === name);
    if (found === undefined) {
      throw new CrosswalkError('config_invalid.unknown_name', `There is no projection ${name}`, {
        known: projections.map((projection) => projection.name).join(', '),
      });
    }
    return found;
  });
}
