// Who reads the line of a connector that ended, and runs the command in it, as often as it takes.
import { setTimeout as sleep } from 'node:timers/promises';
import { COULD_NOT_RUN } from '../../runtime/error-codes/policy.ts';
import { startCli } from '../support/connector-process.ts';
import { parseRemedy, parseReread } from './remedy.ts';

const RETRY_MS = 500;
/** A server that is under attack may leave it waiting. */
const PATIENCE_MS = 90_000;

export interface Operator {
  /** A schema change is under way until the promise that it is given resolves: it explains stops. */
  attend<T>(work: () => Promise<T>): Promise<T>;
  /** Whether a schema change explains the end of a connector; then its remedy is under way. */
  takes(result: number | string, stderr: string): boolean;
  /** Stops that were explained: what ends while the remedy is under way belongs to the stop before. */
  stops(): number;
  /** Tables that each resnapshot named, in their order. */
  resnapshots(): readonly (readonly string[])[];
  close(): Promise<void>;
}

/** `env`: straight to the servers. `say` hears of every resnapshot. */
export function createOperator(env: Readonly<Record<string, string>>, say: (line: string) => void): Operator {
  const resnapshots: (readonly string[])[] = [];
  let stops = 0;
  let attending = 0;
  let isClosing = false;
  let work: Promise<void> | null = null;

  async function resnapshot(named: readonly string[]): Promise<void> {
    let isOpen = false;
    for (let tables = named; !isClosing; await sleep(RETRY_MS)) {
      const command = startCli(['resnapshot', ...tables], env);
      const timer = setTimeout(() => command.child.kill('SIGKILL'), PATIENCE_MS);
      const result = await command.ended;
      clearTimeout(timer);
      if (result === 0) {
        resnapshots.push(parseReread(command.stdout()));
        say(`resnapshot of ${resnapshots.at(-1)!.join(', ')}`);
        return;
      }
      // An attempt whose end was cut off may have been done all the same: then the connector runs, and what stops it later is another cause.
      if (/^crosswalk resnapshot: A connector has slot/m.test(command.stderr())) {
        if (!isOpen) continue;
        resnapshots.push(tables);
        return;
      }
      isOpen = true;
      if (/Also changed without an event/.test(command.stderr())) tables = [];
    }
  }

  return {
    async attend(change) {
      attending += 1;
      try {
        return await change();
      } finally {
        attending -= 1;
      }
    },
    takes(result, stderr) {
      const tables = result === COULD_NOT_RUN && attending > 0 ? parseRemedy(stderr) : null;
      if (tables === null) return false;
      if (work === null) {
        stops += 1;
        work = resnapshot(tables).finally(() => {
          work = null;
        });
      }
      return true;
    },
    stops: () => stops,
    resnapshots: () => resnapshots,
    async close() {
      isClosing = true;
      await work;
    },
  };
}
