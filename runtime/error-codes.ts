import { ofArguments } from './error-codes/arguments.ts';
import { logCodes } from './error-codes/log.ts';
import { type ErrorPolicy, stops } from './error-codes/policy.ts';
import { processCodes } from './error-codes/processes.ts';
import { serverCodes } from './error-codes/servers.ts';
import { ofPipelines, ofSettings } from './error-codes/settings.ts';
import { sourceCodes } from './error-codes/source.ts';
import { targetCodes } from './error-codes/target.ts';

// The one table of errors: code -> waits or stops, exit code, next step. Logs, metrics and stop records name a code, and its name stays.
// Where a code stands for several next steps, it has finer codes, `code.finer`: same policy, a remedy of their own.
// A remedy is a text, or a function of the facts that it needs. A call site names the code or finer code, says what happened, and gives these facts; a missing one is a type error.
// Nothing else writes a remedy: a `Failure` comes from here alone, and a CrosswalkError is made of one.

/** Every way crosswalk can fail, as a closed list. docs/errors.md is made of it: `npm run errors`. */
export const errorCodes = {
  config_invalid: stops('A setting, an argument or a file is wrong.', 'Correct what the message names.', {
    ...ofSettings,
    ...ofPipelines,
    ...ofArguments,
  }),
  ...serverCodes,
  ...sourceCodes,
  ...logCodes,
  ...targetCodes,
  ...processCodes,
} as const satisfies Record<string, ErrorPolicy>;

type Table = typeof errorCodes;
export type ErrorCode = keyof Table;

/** The finer codes of a code with their remedies. */
type Finer = { [C in ErrorCode]: { [F in keyof Table[C]['finer'] & string as `${C}.${F}`]: Table[C]['finer'][F] } };
type Merged<T> = (T extends unknown ? (each: T) => void : never) extends (all: infer A) => void ? A : never;
/** The remedy of each finer code. */
type FinerRemedies = Merged<Finer[ErrorCode]>;
type FinerCode = keyof FinerRemedies;
type WithFacts = {
  [F in FinerCode as FinerRemedies[F] extends string ? never : F]: FinerRemedies[F] extends (facts: infer X) => string
    ? X
    : never;
};

/** Every code and finer code whose remedy needs no facts. */
export type PlainCode = ErrorCode | Exclude<FinerCode, keyof WithFacts>;

interface Cause {
  readonly cause?: unknown;
}
type OfFacts<Before extends readonly unknown[], More> = {
  [F in keyof WithFacts]: [code: F, ...Before, facts: WithFacts[F] & More];
}[keyof WithFacts];

/** What a failure is made of: a code or finer code, and the facts of its remedy where that needs some. */
export type FailureArguments = [code: PlainCode] | OfFacts<[], unknown>;
/** The same of an error: what happened stands in between, and what caused it is one of the facts. */
export type ErrorArguments =
  | [code: PlainCode | Failure, message: string, facts?: Cause]
  | OfFacts<[message: string], Cause>;

/** A way to fail with its next step, before anything is thrown. Only the table makes one. */
export class Failure {
  readonly #remedy: string;
  readonly code: ErrorCode;

  private constructor(code: ErrorCode, remedy: string) {
    this.code = code;
    this.#remedy = remedy;
  }

  get remedy(): string {
    return this.#remedy;
  }

  /** `Failure.of('config_invalid.setting', { setting: 'CROSSWALK_SLOT', to: 'another name' })`. */
  static of(...[name, facts]: FailureArguments): Failure {
    const [code, finer] = name.split('.') as [ErrorCode, string | undefined];
    const { remedy, finer: all }: ErrorPolicy = errorCodes[code];
    const found = finer === undefined ? remedy : all[finer]!;
    return new Failure(code, typeof found === 'string' ? found : found(facts as never));
  }
}
