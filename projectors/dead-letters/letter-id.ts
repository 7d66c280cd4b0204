import { CrosswalkError } from '../../runtime/errors.ts';

/** Identity of a dead letter: the change of one projection at one position of the log. */
export interface LetterId {
  readonly projection: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
}

const PLACE = /^(.+)\/(\d{1,9})@(\d{1,18})$/;

/** `projection:topic/partition@offset`. */
export function toLetterId({ projection, topic, partition, offset }: LetterId): string {
  return `${projection}:${topic}/${partition}@${offset}`;
}

/** Parses the output of `toLetterId`. Throws `config_invalid`. */
export function parseLetterId(text: string): LetterId {
  const colon = text.indexOf(':');
  const match = PLACE.exec(text.slice(colon + 1));
  if (colon < 1 || match === null) {
    throw new CrosswalkError('config_invalid.letter_id', `${JSON.stringify(text)} is no dead letter's id`);
  }
  return { projection: text.slice(0, colon), topic: match[1]!, partition: Number(match[2]), offset: match[3]! };
}

/** Parses ids given as arguments, without duplicates: each a single word, or one as `projection topic/partition@offset`. */
export function parseLetterIds(words: readonly string[]): LetterId[] {
  if (words.length === 2 && !words[0]!.includes(':') && PLACE.test(words[1]!)) {
    return [parseLetterId(`${words[0]}:${words[1]}`)];
  }
  return [...new Set(words)].map(parseLetterId);
}
