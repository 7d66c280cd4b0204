import { runConnector } from '../../connectors/connect.ts';
import { createConnectorStatus } from '../../connectors/status.ts';
import { connectorHealth } from '../../runtime/health.ts';
import { serveHealth } from '../../runtime/http.ts';
import { registerConnectorMetrics } from '../../runtime/metrics.ts';
import type { CommandContext } from '../context.ts';

/** One connector until SIGTERM. */
export async function connect({ config, log, signal }: CommandContext): Promise<boolean> {
  const status = createConnectorStatus(config.tables);
  registerConnectorMetrics(status);
  const server = await serveHealth(config, () => connectorHealth(status, config));
  try {
    await runConnector(config, status, { log, signal });
  } finally {
    await server.close();
  }
  return true;
}
