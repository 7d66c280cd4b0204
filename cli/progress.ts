import { toCountText, toDurationText } from './quantity-text.ts';

const BAR_WIDTH = 30;
const REDRAW_MS = 100;
const LINE_MS = 2000;
/** The rate covers only the last seconds, because the speed varies. */
const RATE_WINDOW_MS = 10_000;

/** Progress of some work. `total` 0 or less: unknown. */
export interface ProgressState {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  readonly ratePerSecond: number;
  readonly elapsedSeconds: number;
  readonly isOver: boolean;
}

/** One line: label, bar (if `width` is above 0), percent, counts, rate, and time left or, at the end, time taken. */
export function toProgressLine(state: ProgressState, width = 0): string {
  const { label, done, total, ratePerSecond, elapsedSeconds, isOver } = state;
  const parts = [label];
  if (total > 0) {
    const share = Math.min(1, Math.max(0, done / total));
    if (width > 0) {
      const full = Math.floor(share * width);
      parts.push(`[${'█'.repeat(full)}${'░'.repeat(width - full)}]`);
    }
    // 100 % is shown only when everything is done.
    parts.push(`${String(Math.floor(share * 100)).padStart(3)} %`, `${toCountText(done)} of ${toCountText(total)}`);
  } else {
    parts.push(toCountText(done));
  }
  parts.push(`${toCountText(ratePerSecond)}/s`);
  if (isOver) parts.push(`in ${toDurationText(elapsedSeconds)}`);
  else if (total > done && ratePerSecond > 0) parts.push(`${toDurationText((total - done) / ratePerSecond)} left`);
  return parts.join('  ');
}

/** Rate per second over the last samples, within `RATE_WINDOW_MS`. Samples are in chronological order. */
export function toRate(samples: readonly { readonly atMs: number; readonly done: number }[]): number {
  const last = samples.at(-1);
  const first = samples.find(({ atMs }) => last !== undefined && last.atMs - atMs <= RATE_WINDOW_MS);
  if (last === undefined || first === undefined || last.atMs <= first.atMs) return 0;
  return Math.max(0, ((last.done - first.done) * 1000) / (last.atMs - first.atMs));
}

/**
 * Shows the progress of long work: on a terminal a bar redrawn in place, at most ten times a second; otherwise a plain line, at most every two seconds. `close` prints
 * the final state with the overall rate. Lines longer than the terminal (`columns`, 80 by default) omit the bar.
 */
export function createProgress(options: {
  readonly label: string;
  readonly total: number;
  readonly isTerminal: boolean;
  readonly write: (text: string) => void;
  readonly columns?: number;
  readonly nowMs?: () => number;
}): { update(done: number, total?: number): void; close(): void } {
  const { label, isTerminal, write, columns = 80, nowMs = () => performance.now() } = options;
  const startedAtMs = nowMs();
  let total = options.total;
  let startedAt: number | null = null;
  let done = 0;
  let shownAtMs = isTerminal ? -Infinity : startedAtMs;
  let samples: { atMs: number; done: number }[] = [];
  let isClosed = false;

  const show = (atMs: number, isOver: boolean) => {
    const elapsedSeconds = (atMs - startedAtMs) / 1000;
    const ratePerSecond = isOver
      ? elapsedSeconds > 0
        ? (done - (startedAt ?? 0)) / elapsedSeconds
        : 0
      : toRate(samples);
    const state = { label, done, total, ratePerSecond, elapsedSeconds, isOver };
    if (!isTerminal) return write(`${toProgressLine(state)}\n`);
    const wide = toProgressLine(state, BAR_WIDTH);
    const line = wide.length < columns ? wide : toProgressLine(state).slice(0, Math.max(0, columns - 1));
    write(`\r${line}\u001b[K${isOver ? '\n' : ''}`);
  };

  return {
    update(newDone, newTotal = total) {
      if (isClosed) return;
      const atMs = nowMs();
      startedAt ??= newDone;
      done = newDone;
      total = newTotal;
      if (atMs - (samples.at(-1)?.atMs ?? -Infinity) >= REDRAW_MS) {
        samples.push({ atMs, done });
        samples = samples.filter((sample) => atMs - sample.atMs <= RATE_WINDOW_MS);
      }
      if (atMs - shownAtMs < (isTerminal ? REDRAW_MS : LINE_MS)) return;
      shownAtMs = atMs;
      show(atMs, false);
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      show(nowMs(), true);
    },
  };
}
