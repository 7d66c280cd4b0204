import { runConnector } from '../../connectors/connect.ts';
import { createConnectorStatus } from '../../connectors/status.ts';
import { connectorHealth } from '../../monitor/health.ts';
import { serveHealth } from '../../monitor/http.ts';
import { registerConnectorMetrics } from '../../monitor/metrics.ts';
import { watchStall } from '../../monitor/watchdog.ts';
import type { CommandContext } from '../context.ts';

/** Runs one connector until SIGTERM. */
export async function connect({ config, log, giveUp, signal }: CommandContext): Promise<boolean> {
  const status = createConnectorStatus(config.tables);
  registerConnectorMetrics(status);
  const health = () => connectorHealth(status, config);
  const server = await serveHealth(config, health);
  const watchdog = watchStall(health, giveUp);
  try {
    await runConnector(config, status, { log, signal });
  } finally {
    watchdog.close();
    await server.close();
  }
  return true;
}
