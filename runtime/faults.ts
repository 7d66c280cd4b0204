// Named points at which a test may stop a process, freeze it, make it fail or hold it up. Without CROSSWALK_FAULTS there is no handler, and a point costs a comparison.
import { CrosswalkError } from './errors.ts';

/** Where the promises are decided: what lies between a `before` and its `after` must be all or nothing. */
export const connectorPoints = [
  'position.before',
  'position.after',
  'watermark.before',
  'watermark.after',
  'kafka_commit.before',
  'kafka_commit.after',
  'acknowledge.before',
  'acknowledge.after',
] as const;
export const projectorPoints = [
  'rebalance.before',
  'rebalance.after',
  'offset_move.before',
  'offset_move.after',
  'target_commit.before',
  'target_commit.after',
] as const;
/** Of `crosswalk migrate run`: each phase in turn, each migration and each of its steps, each table of a backup. */
export const migrationPoints = [
  'phase.before',
  'phase.begun',
  'phase.worked',
  'phase.after',
  'migration_step.before',
  'migration_step.after',
  'backup_table.before',
  'backup.before_rename',
  'restore_table.before',
] as const;
/** Of `crosswalk rebuild`: around the commit of its merge. */
export const rebuildPoints = ['rebuild_merge.before', 'rebuild_merge.after'] as const;
const faultPoints = [...connectorPoints, ...projectorPoints, ...migrationPoints, ...rebuildPoints] as const;
export type FaultPoint = (typeof faultPoints)[number];

/** kill: SIGKILL to itself. freeze: SIGSTOP, until somebody sends SIGCONT. fail: throws what waiting heals. break: throws what nobody expects, every time from then on. stall: goes on after so many milliseconds. */
export type FaultAction =
  | { readonly kind: 'kill' | 'freeze' | 'fail' | 'break' }
  | { readonly kind: 'stall'; readonly ms: number };

/** What to do when a point is reached for the `nth` time, counted from 1. */
export interface Fault {
  readonly point: FaultPoint;
  readonly action: FaultAction;
  readonly nth: number;
}

/** Called at each point; null, as it is without faults, does nothing. */
export let reach: ((point: FaultPoint) => Promise<void>) | null = null;

/** Reads `point=action[@nth]`, comma separated; action is kill, freeze, fail, break or stall:<ms>. Throws `config_invalid`. */
export function parseFaults(text: string): Fault[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const match = /^([a-z_.]+)=(kill|freeze|fail|break|stall:(\d{1,6}))(?:@([1-9]\d{0,6}))?$/.exec(part);
      const point = faultPoints.find((known) => known === match?.[1]);
      if (match === null || point === undefined) {
        throw new CrosswalkError('config_invalid.setting', `Configuration: CROSSWALK_FAULTS: ${part} is no fault`, {
          setting: 'CROSSWALK_FAULTS',
          to: `point=kill, freeze, fail, break or stall:<ms>, with @n for the nth time; points: ${faultPoints.join(', ')}`,
        });
      }
      const kind = match[2]!.startsWith('stall') ? 'stall' : (match[2] as 'kill' | 'freeze' | 'fail' | 'break');
      return {
        point,
        action: kind === 'stall' ? { kind, ms: Number(match[3]) } : { kind },
        nth: Number(match[4] ?? 1),
      };
    });
}

/** Switches faults on for the rest of this process. `report` is told of each one just before it strikes. */
export function switchOnFaults(faults: readonly Fault[], report: (fault: Fault) => void): void {
  if (faults.length === 0) return;
  const times = new Map<FaultPoint, number>();
  reach = async (point) => {
    const time = (times.get(point) ?? 0) + 1;
    times.set(point, time);
    const strikes = ({ nth, action }: Fault) => (action.kind === 'break' ? time >= nth : time === nth);
    const fault = faults.find((candidate) => candidate.point === point && strikes(candidate));
    if (fault === undefined) return;
    report(fault);
    const { action } = fault;
    if (action.kind === 'kill') process.kill(process.pid, 'SIGKILL');
    if (action.kind === 'freeze') process.kill(process.pid, 'SIGSTOP');
    if (action.kind === 'fail') throw new CrosswalkError('server_down.fault', `fault injected at ${point}`);
    if (action.kind === 'break') throw new Error(`fault injected at ${point}`);
    if (action.kind === 'stall') await new Promise((resolve) => setTimeout(resolve, action.ms));
  };
}
