import type { Relation, Row } from '../../changes/change.ts';
import { toKey } from './emission.ts';
import { createRateMeter } from './pace.ts';
import { toKeyText } from './signal.ts';
import type { Windows } from './windows.ts';
import type { Work, WorkList } from './work.ts';

/**
 * The current read, shared by the reading connections and the stream in which their markers pass. Work is read while it
 * is next in the list, and its chunks count while their windows do: not after a restart or once it is dropped. Waiters
 * are woken on every change of this state.
 */
export class Reading {
  readonly #list: WorkList;
  #woken = Promise.withResolvers<void>();
  /** The work that chunks are read of: the next of the list, or it is dropped. */
  work: Work | null = null;
  /** The chunks in flight; null before the first one. */
  windows: Windows | null = null;
  /** Whether the chunks in flight are void and must be read again. */
  restart = false;
  meter = createRateMeter();
  /** Whether there is nothing to read. */
  isIdle: boolean;
  /** How often reading became necessary after idling. While idle, streamed changes are not tracked. */
  rounds: number;

  constructor(list: WorkList) {
    this.#list = list;
    this.isIdle = list.isIdle();
    this.rounds = this.isIdle ? 0 : 1;
  }

  isGoing(of: Work, windows: Windows): boolean {
    return this.work === of && this.windows === windows && !this.restart;
  }

  /** Waits until the state may have changed. */
  async settled(signal: AbortSignal): Promise<void> {
    await this.#woken.promise;
    signal.throwIfAborted();
  }

  wake(): void {
    this.#woken.resolve();
    this.#woken = Promise.withResolvers();
  }

  /** Updates the state after the list may have changed. */
  update(): void {
    if (this.work !== null && this.#list.next() !== this.work) {
      this.work = null;
      this.windows = null;
    }
    const wasIdle = this.isIdle;
    this.isIdle = this.#list.isIdle();
    if (wasIdle && !this.isIdle) this.rounds += 1;
    this.wake();
  }

  /** These windows have failed: their readers stop. */
  drop(windows: Windows): void {
    if (this.windows === windows) this.windows = null;
    this.wake();
  }

  /** The stream changed a row. */
  touch(relation: Relation, row: Row): void {
    if (this.work === null || relation.oid !== this.work.relation.oid) return;
    this.windows?.touch(toKeyText(toKey(relation, row)));
  }

  /** The stream emptied tables. */
  truncate(oids: readonly number[]): void {
    // Even while its first chunk is in flight: it may have been read before the TRUNCATE.
    if (this.work !== null && oids.includes(this.work.relation.oid)) this.restart = true;
    this.wake();
  }
}
