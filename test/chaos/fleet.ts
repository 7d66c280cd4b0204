// The pipeline's processes, kept running as containers are: whatever ends is started again.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { STALLED } from '../../runtime/error-codes/policy.ts';
import { type CliProcess, startCli } from '../support/connector-process.ts';
import { waitUntil } from '../support/wait-until.ts';

/** How soon an ended process is started again. */
const RESTART_MS = 500;
/** How long a fault freezes a process. */
const FROZEN_MS = 4000;
/** An orderly stop must be over by then. */
const STOP_MS = 10_000;

/** One place in the fleet: there is always a process in it, or will be soon. */
export interface Member {
  readonly name: string;
  readonly kind: 'connector' | 'projector';
  kill(): void;
  hasSaid(text: string): boolean;
  /** SIGSTOP now, SIGCONT after `ms`; resolves then. */
  freeze(ms: number): Promise<void>;
  /** SIGTERM, and away for `ms`. */
  restart(ms: number): Promise<void>;
  /** Ends the process; the next one starts with these faults. Resolves once one of them has struck, or after `timeoutMs`. */
  arm(faults: string, timeoutMs: number): Promise<boolean>;
}

export interface Fleet {
  readonly members: readonly Member[];
  /** What no fault explains: ends with a code other than 0 or that of a stall, and orderly stops that took too long. */
  readonly troubles: readonly string[];
  /** Processes that gave themselves up as stalled. */
  stalls(): number;
  restarts(): number;
  /** Resolves once a connector streams: then there is a slot. */
  untilStreaming(): Promise<void>;
  /** From here on no fault is armed, every process runs. */
  calm(): Promise<void>;
  close(): Promise<void>;
}

/** Starts `connectors` and `projectors` processes; each writes a log of its own into `logDir`. `isExplained`: whether something beyond the fleet explains an end. */
export function startFleet(
  env: Readonly<Record<string, string>>,
  sizes: { connectors: number; projectors: number },
  logDir: string,
  isExplained: (result: number | string, stderr: string) => boolean,
  onTrouble: (trouble: string) => void,
): Fleet {
  const troubles: string[] = [];
  const trouble = (text: string) => {
    troubles.push(text);
    onTrouble(text);
  };
  let stalls = 0;
  let restarts = 0;
  let isClosing = false;

  function createMember(
    kind: Member['kind'],
    index: number,
  ): Member & { calm(): Promise<void>; close(): Promise<void> } {
    const name = `${kind} ${index + 1}`;
    let current: CliProcess;
    let faults = '';
    let awayUntil = 0;
    /** Why the process at hand may end; null: it may not. */
    let expected: 'kill' | 'stop' | null = null;
    let frozen = false;

    const start = () => {
      const armed = faults;
      faults = '';
      current = startCli(
        [kind === 'connector' ? 'connect' : 'project'],
        {
          NODE_NO_WARNINGS: '1',
          ...env,
          CROSSWALK_FAULTS: armed,
        },
        join(logDir, `${name.replace(' ', '-')}.log`),
      );
      const started = current;
      // A process that a fault has frozen is thawed, whenever it strikes.
      if (armed.includes('=freeze'))
        void started.untilSaid('fault injected', 3_600_000).then(
          () => sleep(FROZEN_MS).then(() => void started.child.kill('SIGCONT')),
          () => undefined,
        );
      void started.ended.then(async (result) => {
        const why = expected;
        expected = null;
        frozen = false;
        if (isClosing) return;
        const killedByFault = result === 'SIGKILL' && /fault injected/.test(started.stderr());
        const isStall = result === STALLED && /Stalled: /.test(started.stderr());
        if (isStall) stalls += 1;
        // A process that is told to stop before it can hear it.
        const isUnborn = result === 'SIGTERM' && started.stderr() === '';
        const isOurs =
          (why === 'kill' && result === 'SIGKILL') ||
          (why === 'stop' && (result === 0 || isUnborn)) ||
          killedByFault ||
          isStall;
        if (!isOurs && !isExplained(result, started.stderr()))
          trouble(`${name} ended with ${result}: ${lastLine(started.stderr())}`);
        await sleep(Math.max(RESTART_MS, awayUntil - performance.now()));
        if (isClosing) return;
        restarts += 1;
        start();
      });
    };
    start();

    const stop = async () => {
      const stopping = current;
      if (!stopping.isRunning()) return;
      expected = 'stop';
      stopping.child.kill('SIGCONT');
      stopping.child.kill('SIGTERM');
      const timer = new AbortController();
      const late = sleep(STOP_MS, 'late', { signal: timer.signal }).catch(() => 'in time');
      if ((await Promise.race([stopping.ended, late])) === 'late' && stopping.isRunning()) {
        trouble(`${name} did not stop within ${STOP_MS / 1000} s of SIGTERM: ${lastLine(stopping.stderr())}`);
        expected = 'kill';
        stopping.child.kill('SIGKILL');
      }
      timer.abort();
      await stopping.ended;
    };

    return {
      name,
      kind,
      kill() {
        if (!current.isRunning()) return;
        expected = 'kill';
        current.child.kill('SIGKILL');
      },
      hasSaid: (text) => current.stderr().includes(text),
      async freeze(ms) {
        const victim = current;
        if (!victim.isRunning()) return;
        frozen = true;
        victim.child.kill('SIGSTOP');
        await sleep(ms);
        victim.child.kill('SIGCONT');
        frozen = false;
      },
      async restart(ms) {
        if (frozen) return;
        awayUntil = performance.now() + ms;
        await stop();
      },
      async arm(text, timeoutMs) {
        if (frozen) return false;
        faults = text;
        if (current.isRunning()) {
          expected = 'kill';
          current.child.kill('SIGKILL');
        }
        const before = current;
        await before.ended;
        const deadline = performance.now() + timeoutMs;
        while (performance.now() < deadline) {
          if (current !== before && /fault injected/.test(current.stderr())) {
            return true;
          }
          await sleep(50);
        }
        return false;
      },
      async calm() {
        faults = '';
        // A process that still has faults armed is replaced by one that has none.
        expected = 'kill';
        const before = current;
        current.child.kill('SIGCONT');
        current.child.kill('SIGKILL');
        await before.ended;
        await waitUntil(`${name} runs`, () => current !== before && current.isRunning(), 30_000);
      },
      async close() {
        current.child.kill('SIGCONT');
        await stop();
      },
    };
  }

  const members = [
    ...Array.from({ length: sizes.connectors }, (_, index) => createMember('connector', index)),
    ...Array.from({ length: sizes.projectors }, (_, index) => createMember('projector', index)),
  ];
  return {
    members,
    troubles,
    stalls: () => stalls,
    restarts: () => restarts,
    untilStreaming: () =>
      waitUntil('a connector streams', () => members.some((member) => member.hasSaid('"streaming"')), 120_000),
    calm: async () => void (await Promise.all(members.map((member) => member.calm()))),
    async close() {
      isClosing = true;
      await Promise.all(members.map((member) => member.close()));
    },
  };
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.slice(0, 500) ?? '';
}
