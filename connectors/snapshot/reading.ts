import type { Relation, Row } from '../../changes/change.ts';
import { toKey } from './emission.ts';
import { createRateMeter } from './pace.ts';
import { toKeyText } from './signal.ts';
import type { Windows } from './windows.ts';
import type { Work, WorkList } from './work.ts';

/**
 * What is being read: known to the connections that read, and to the stream in which their markers pass. Work is read as long as it is the next one of the list, and what was read of it counts
 * as long as its windows do: not after a restart, and not once it is dropped. Whoever waits is woken whenever any of that changes.
 */
export class Reading {
  readonly #list: WorkList;
  #woken = Promise.withResolvers<void>();
  /** What chunks are being read of: the next work of the list, or it is dropped. */
  work: Work | null = null;
  /** The chunks in flight; null before the first one. */
  windows: Windows | null = null;
  /** Whether the chunks in flight are void, and read again. */
  restart = false;
  meter = createRateMeter();
  /** Whether nothing is to be read. */
  isIdle: boolean;
  /** How often there was something to read after nothing was. What the stream delivered in between is not known here. */
  rounds: number;

  constructor(list: WorkList) {
    this.#list = list;
    this.isIdle = list.isIdle();
    this.rounds = this.isIdle ? 0 : 1;
  }

  isGoing(of: Work, windows: Windows): boolean {
    return this.work === of && this.windows === windows && !this.restart;
  }

  /** Waits until something may be another. */
  async settled(signal: AbortSignal): Promise<void> {
    await this.#woken.promise;
    signal.throwIfAborted();
  }

  wake(): void {
    this.#woken.resolve();
    this.#woken = Promise.withResolvers();
  }

  /** What there is to read may be something else now. */
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

  /** These windows have failed: those who read in them end. */
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
    // Also while its first chunk is on its way: it may have been read before.
    if (this.work !== null && oids.includes(this.work.relation.oid)) this.restart = true;
    this.wake();
  }
}
