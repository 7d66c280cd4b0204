// The projector process of the flat copy: what `crosswalk project` runs, with the benchmark's own projection in place of those that are shipped.

import crm from '../../pipelines/crm/pipeline.ts';
import { runProjectors } from '../../projectors/project.ts';
import { readTenants } from '../../projectors/read-tenants.ts';
import { createProjectionStatus } from '../../projectors/status.ts';
import { parseConfig } from '../../runtime/config.ts';
import { toCrosswalkError, toErrorLine } from '../../runtime/errors.ts';
import { createLog } from '../../runtime/log.ts';
import { flatQuotes } from './flat-quotes.ts';

const stopping = new AbortController();
process.on('SIGTERM', () => stopping.abort(new Error('SIGTERM')));
process.on('unhandledRejection', (reason) => {
  // As in the command line: requests of the Kafka client that nobody waits for any more.
  if (!(reason instanceof Error) || !reason.name.startsWith('KafkaJS')) throw reason;
});
try {
  // biome-ignore lint/style/noProcessEnv: the entry of a process, as cli/main.ts is.
  const config = parseConfig(process.env, crm);
  const statuses = new Map([[flatQuotes.name, createProjectionStatus(flatQuotes.name)]]);
  const log = createLog(config.logLevel, { command: 'flat' });
  await runProjectors(config, [flatQuotes], readTenants(crm), statuses, { log, signal: stopping.signal });
} catch (thrown) {
  if (!stopping.signal.aborted) {
    process.stderr.write(`crosswalk flat: ${toErrorLine(toCrosswalkError(thrown, 'flat'))}\n`);
    process.exitCode = 2;
  }
}
