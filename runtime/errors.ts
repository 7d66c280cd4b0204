import type { AddressSetting } from './address-use.ts';
import {
  type ErrorArguments,
  type ErrorCode,
  errorCodes,
  Failure,
  type FailureArguments,
  type PlainCode,
} from './error-codes.ts';
import { toKafkaRefusal } from './kafka-refusals.ts';

/** An error that a person can act on: one line of cause, one of remedy. Never holds a secret or a cell value. */
export class CrosswalkError extends Error {
  readonly #failure: Failure;
  readonly code: ErrorCode;
  readonly remedy: string;

  /** `new CrosswalkError('config_invalid.unset', 'X is not set', { setting: 'X', cause })`: what happened, and the facts that the remedy of the code needs. */
  constructor(...[of, message, facts]: ErrorArguments) {
    super(message, facts?.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'CrosswalkError';
    this.#failure = of instanceof Failure ? of : Failure.of(...([of, facts] as FailureArguments));
    this.code = this.#failure.code;
    this.remedy = this.#failure.remedy;
  }

  /** The way it fails, for an error that says more of what happened. */
  get failure(): Failure {
    return this.#failure;
  }

  get tries(): number {
    return errorCodes[this.code].tries;
  }

  /** What a process ends with that stops for it. */
  get exitCode(): number {
    return errorCodes[this.code].exitCode;
  }

  /** Whether waiting can heal it. */
  get waits(): boolean {
    return this.tries === Number.POSITIVE_INFINITY;
  }
}

/** SQLSTATE of everything that a role may not do. */
export const RIGHT_MISSING = '42501';
/** A table or schema that is not there; also what a role is told of one in a schema that it may not look into. */
const NOT_THERE = ['42P01', '3F000'];
/** Errors of PostgreSQL that say something about the login. */
export const ABOUT_LOGINS: readonly string[] = [RIGHT_MISSING, ...NOT_THERE];

/** Whom PostgreSQL refused something: the user of an address, and the settings that it was asked for as and read from, where it came from a setting. */
export interface RefusedLogin {
  readonly user: string;
  readonly wanted?: AddressSetting;
  readonly from?: AddressSetting;
}

/** Who lacked a right, behind the server's message, and what to do. */
function toRightsText(login: RefusedLogin | undefined): { who: string; failure: Failure } {
  if (login === undefined) return { who: '', failure: Failure.of('permission_denied') };
  const { user, wanted, from } = login;
  if (wanted === undefined) return { who: `, as ${user}`, failure: Failure.of('permission_denied.user', { user }) };
  if (wanted === from)
    return { who: `, as ${user} of ${from}`, failure: Failure.of('permission_denied.login', { setting: wanted }) };
  return {
    who: `, as ${user} of ${from}, since ${wanted} is not set`,
    failure: Failure.of('permission_denied.login_unset', { setting: wanted }),
  };
}

interface Foreign {
  readonly refusedLogin?: RefusedLogin;
  readonly code?: unknown;
  readonly name?: unknown;
  readonly type?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ABORT_ERR',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
]);
/** SQLSTATEs of a server that is starting, stopping, failing over or full: it comes back by itself. */
const waitingStates = /^(08...|57P0[1234]|53[0-9]{3}|25006|40001|40P01|55P03|55006)$/;

function messageOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const foreign = error as Foreign;
  if (Array.isArray(foreign.errors) && foreign.errors.length > 0) return messageOf(foreign.errors[0]);
  const message = String(foreign.message ?? foreign.code ?? 'unknown error');
  return (
    (message === 'fetch failed' && foreign.cause ? messageOf(foreign.cause) : message).split('\n')[0] ?? 'unknown error'
  );
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const foreign = error as Foreign;
  if (typeof foreign.code === 'string') return foreign.code;
  if (Array.isArray(foreign.errors) && foreign.errors.length > 0) return codeOf(foreign.errors[0]);
  return foreign.cause ? codeOf(foreign.cause) : '';
}

/** A library may wrap what PostgreSQL answered. */
function refusedLoginOf(error: unknown): RefusedLogin | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { refusedLogin, cause } = error as Foreign;
  return refusedLogin ?? refusedLoginOf(cause);
}

/** Classifies any thrown value; total, and never throws. `what` names the server and its address without credentials. */
export function toCrosswalkError(error: unknown, what: string): CrosswalkError {
  if (error instanceof CrosswalkError) return error;
  // A library may wrap what it was thrown.
  const wrapped = (error as Foreign | null | undefined)?.cause;
  if (wrapped instanceof CrosswalkError) return wrapped;
  const message = messageOf(error);
  const code = codeOf(error);
  const fail = (failure: Failure | PlainCode, more = '') =>
    new CrosswalkError(failure, `${what}: ${message}${more}`, { cause: error });
  if (
    /does not support SSL|before secure TLS|wrong.version.number|EPROTO|packet.length.too.long/i.test(
      `${message} ${code}`,
    )
  ) {
    return fail('tls_refused.plain');
  }
  if (
    /alert.(unknown.ca|handshake|protocol|no.application|access|\w*.?certificate)|no.protocols.available|unsupported.protocol/i.test(
      `${message} ${code}`,
    )
  ) {
    return fail('tls_refused.disagreed');
  }
  if (/altname/i.test(`${message} ${code}`)) {
    return fail('tls_refused.name');
  }
  // 28000 is the server's opinion of ours.
  if (code !== '28000' && /self.signed|unable.to.verify|certificate|CERT_|CRL_/i.test(`${message} ${code}`)) {
    return fail('tls_refused.untrusted');
  }
  if (
    code === '28P01' ||
    code === '28000' ||
    /SASL.*(auth|password|state|mechanism)|authentication failed/i.test(message)
  ) {
    return fail('auth_failed');
  }
  if (code === '3D000') return fail('database_missing');
  if (code === RIGHT_MISSING) {
    const { who, failure } = toRightsText(refusedLoginOf(error));
    return fail(failure, who);
  }
  if (NOT_THERE.includes(code)) return fail('schema_missing.unseen', toRightsText(refusedLoginOf(error)).who);
  // The server's message shows the bytes, which are a part of a value.
  if (code === '22021' || code === '22P05')
    return new CrosswalkError(
      'text_unreadable',
      `${what}: a text there is not valid in the database's encoding, or has no form in UTF-8`,
    );
  if (code === 'EADDRINUSE') return fail('port_taken');
  if (code === 'ERR_INVALID_URL') return fail('config_invalid.address');
  if (networkCodes.has(code) || waitingStates.test(code)) return fail('server_down');
  const name = String((error as Foreign | null)?.name ?? '');
  if (name === 'RegistryError') return fail((error as { failure: Failure }).failure);
  if ((error as Foreign | null)?.type === 'INVALID_SESSION_TIMEOUT') {
    return fail('config_invalid.session_timeout');
  }
  const refusal = toKafkaRefusal(error);
  if (refusal !== null) {
    const where = refusal.topic === null ? what : `${what}, topic ${refusal.topic}`;
    return new CrosswalkError(refusal.failure, `${where}: ${message}`, { cause: error });
  }
  if (isSettling(error)) {
    return fail('server_down.settling');
  }
  // The library takes a refusal for a coordinator that is not there yet.
  if (name.startsWith('KafkaJSGroupCoordinator')) return fail('server_down.coordinator');
  if (
    /^Kafka(JS)?(Connection|BrokerNotFound|RequestTimeout|NumberOfRetries|NoBroker|Metadata|Timeout|LockTimeout)/.test(
      name,
    ) ||
    /Connection terminated|Connection timeout|timeout expired|Client network socket|connection error and is not queryable|Closed connection/i.test(
      message,
    )
  ) {
    return fail('server_down');
  }
  return fail('unexpected');
}

/** An answer of Kafka that is another one soon: a partition without a leader, a coordinator that loads. */
export function isSettling(error: unknown): boolean {
  const { name, retriable } = (error ?? {}) as { name?: unknown; retriable?: unknown };
  return (name === 'KafkaProtocolError' || name === 'KafkaJSProtocolError') && retriable === true;
}

/** One line for people: cause, then next step. */
export function toErrorLine(error: CrosswalkError): string {
  return `${error.message.replace(/\.?$/, '.')} ${error.remedy}`;
}
