/** The next step: a text, or one that is made of facts which only the place of the failure knows, each a word or a list in one line. */
export type Remedy = string | ((facts: never) => string);
export type Remedies = Readonly<Record<string, Remedy>>;

/** How a process deals with a failure, and what people are told of it in general. */
export interface ErrorPolicy {
  /**
   * How often a process meets the failure without getting anything done in between, until it ends; from then on a person must act. Infinity: it waits as long as it takes, because
   * waiting can heal it.
   */
  readonly tries: number;
  /** What the process ends with. */
  readonly exitCode: number;
  readonly meaning: string;
  /** The next step where nothing more is known than the code. */
  readonly remedy: string;
  /** Next steps of the finer codes, by what comes behind the dot. */
  readonly finer: Remedies;
}

/** A command or process that could not run: starting it again would not help. */
export const COULD_NOT_RUN = 2;
/** A process that gave itself up as stalled: starting it again heals it. */
export const STALLED = 3;

type Options = { readonly tries?: number; readonly exitCode?: number };
type NoRemedies = Record<never, never>;

export const waits = <const F extends Remedies = NoRemedies>(meaning: string, remedy: string, finer = {} as F) => ({
  ...{ tries: Number.POSITIVE_INFINITY, exitCode: COULD_NOT_RUN },
  ...{ meaning, remedy, finer },
});

export const stops = <const F extends Remedies = NoRemedies>(
  meaning: string,
  remedy: string,
  finer = {} as F,
  { tries = 1, exitCode = COULD_NOT_RUN }: Options = {},
) => ({ tries, exitCode, meaning, remedy, finer });
