import { CrosswalkError } from '../../runtime/errors.ts';
import type { Kafka } from '../../runtime/kafka.ts';
import type { Place } from './replay.ts';

/** Start of a rebuild in the log. `offset`: the same in every partition. `time`: the first change committed at or after it, in milliseconds since 1970. */
export type Start =
  | { readonly kind: 'beginning' }
  | { readonly kind: 'offset'; readonly offset: bigint }
  | { readonly kind: 'time'; readonly atMs: number };

/** A date, or a time with its zone: without one it would mean another moment on another machine. */
const TIME = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2}))?$/;

/** Reads `beginning`, `offset:<n>`, a date (its midnight in UTC), or an ISO time with Z or an offset. Throws `config_invalid`. */
export function parseStart(text: string): Start {
  if (text === 'beginning') return { kind: 'beginning' };
  const offset = /^offset:(\d{1,18})$/.exec(text);
  if (offset !== null) return { kind: 'offset', offset: BigInt(offset[1]!) };
  const atMs = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(atMs)) return { kind: 'time', atMs };
  throw new CrosswalkError('config_invalid.argument', `${JSON.stringify(text)} is no place in the log`, {
    argument: '--from',
    as: 'beginning, offset:<n>, or a time with its zone such as 2026-07-01T10:30:00Z',
  });
}

/** Inverse of `parseStart`. */
export function toStartText(start: Start): string {
  if (start.kind === 'beginning') return 'beginning';
  return start.kind === 'offset' ? `offset:${start.offset}` : new Date(start.atMs).toISOString();
}

/**
 * First offset of each partition to replay for a projection, never past its live position. Throws `log_gap` if the log does not reach back that far: the
 * rebuild would treat lost changes as if they never happened.
 */
export async function readStarts(
  kafka: Kafka,
  topic: string,
  start: Start,
  live: readonly Place[],
): Promise<{ partition: number; offset: bigint }[]> {
  const ends = (await kafka.fetchOffsets([topic])).get(topic) ?? [];
  const byTime = start.kind === 'time' ? await kafka.fetchOffsetsAt(topic, start.atMs) : [];
  return live.map(({ projection, partition, offset: next }) => {
    const low = ends[partition]?.low ?? 0n;
    const wanted = {
      beginning: 0n,
      offset: start.kind === 'offset' ? start.offset : 0n,
      time: byTime[partition] ?? next,
    };
    const from = wanted[start.kind];
    if (from < low && from < next) {
      throw new CrosswalkError(
        'log_gap.rebuild',
        `${topic}/${partition} holds offsets from ${low} on, and ${projection} is to be rebuilt from ${from}`,
        { offset: String(low) },
      );
    }
    return { partition, offset: from < next ? from : next };
  });
}
