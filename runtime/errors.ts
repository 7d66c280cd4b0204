import type { AddressSetting } from './address-use.ts';
import { type ErrorCode, errorCodes } from './error-codes.ts';
import { toKafkaRefusal } from './kafka-refusals.ts';

/** An error that a person can act on: one line of cause, one of remedy. Never holds a secret or a cell value. */
export class CrosswalkError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;

  /** `remedy`: the next step; that of the code where it is left out. */
  constructor(code: ErrorCode, message: string, remedy: string = errorCodes[code].remedy, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'CrosswalkError';
    this.code = code;
    this.remedy = remedy;
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

/** Who an address is to name. */
const LOGINS: Readonly<Record<AddressSetting, string>> = {
  LEGACY_DATABASE_URL: 'a login that may replicate and read the captured tables',
  LEGACY_OWNER_URL: 'the owner of the legacy tables',
  TARGET_DATABASE_URL: 'a login that is a member of crosswalk_projector',
  TARGET_OWNER_URL: 'the owner of the new schema',
  TARGET_OPERATOR_URL: 'a login that is a member of crosswalk_operator',
  RESTORE_DATABASE_URL: 'the owner of an empty database',
};
const RIGHTS = 'docs/operations.md, "Rights", lists what each role needs.';

/** Who lacked a right, behind the server's message, and what to do. */
function toRightsText(login: RefusedLogin | undefined): { who: string; remedy: string } {
  if (login === undefined) return { who: '', remedy: `Grant the right named above; ${RIGHTS}` };
  const { user, wanted, from } = login;
  if (wanted === undefined) return { who: `, as ${user}`, remedy: `Grant ${user} the right named above; ${RIGHTS}` };
  if (wanted === from)
    return { who: `, as ${user} of ${from}`, remedy: `Have ${wanted} name ${LOGINS[wanted]}; ${RIGHTS}` };
  return {
    who: `, as ${user} of ${from}, since ${wanted} is not set`,
    remedy: `Set ${wanted} to ${LOGINS[wanted]}; ${RIGHTS}`,
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
  const fail = (kind: ErrorCode, remedy: string) => new CrosswalkError(kind, `${what}: ${message}`, remedy, error);
  if (
    /does not support SSL|before secure TLS|wrong.version.number|EPROTO|packet.length.too.long/i.test(
      `${message} ${code}`,
    )
  ) {
    return fail(
      'tls_refused',
      'The server does not speak TLS on this port: turn TLS on there, or take sslmode / KAFKA_TLS out of the configuration.',
    );
  }
  if (
    /alert.(unknown.ca|handshake|protocol|no.application|access|\w*.?certificate)|no.protocols.available|unsupported.protocol/i.test(
      `${message} ${code}`,
    )
  ) {
    return fail(
      'tls_refused',
      'Server and client agree on no TLS: check the client certificate and the protocol versions of the address, and what the server asks for.',
    );
  }
  if (/altname/i.test(`${message} ${code}`)) {
    return fail(
      'tls_refused',
      'Connect by a name that the certificate holds, or to PostgreSQL with sslmode=verify-ca, which checks only who signed it.',
    );
  }
  // 28000 is the server's opinion of ours.
  if (code !== '28000' && /self.signed|unable.to.verify|certificate|CERT_|CRL_/i.test(`${message} ${code}`)) {
    return fail(
      'tls_refused',
      'The certificate is not trusted: give its authority in NODE_EXTRA_CA_CERTS, or in sslrootcert of an address of PostgreSQL.',
    );
  }
  if (
    code === '28P01' ||
    code === '28000' ||
    /SASL.*(auth|password|state|mechanism)|authentication failed/i.test(message)
  ) {
    return fail(
      'auth_failed',
      'Check user and password in the address, and that the server lets this user in (pg_hba.conf, SASL users).',
    );
  }
  if (code === '3D000') return fail('database_missing', 'Create the database, or correct its name in the address.');
  if (code === RIGHT_MISSING) {
    const { who, remedy } = toRightsText(refusedLoginOf(error));
    return new CrosswalkError('permission_denied', `${what}: ${message}${who}`, remedy, error);
  }
  if (NOT_THERE.includes(code)) {
    const { who } = toRightsText(refusedLoginOf(error));
    return new CrosswalkError(
      'schema_missing',
      `${what}: ${message}${who}`,
      `Run \`crosswalk migrate up\` with an owner's address (TARGET_OWNER_URL); where that was done, this user has no right to see it: ${RIGHTS}`,
      error,
    );
  }
  // The server's message shows the bytes, which are a part of a value.
  if (code === '22021' || code === '22P05')
    return new CrosswalkError(
      'text_unreadable',
      `${what}: a text there is not valid in the database's encoding, or has no form in UTF-8`,
      'Correct the text in the legacy database; one in the encoding SQL_ASCII must hold UTF-8 only.',
    );
  if (code === 'EADDRINUSE')
    return fail('port_taken', 'Another process has this port: end it, or choose another in CROSSWALK_HTTP_PORT.');
  if (code === 'ERR_INVALID_URL') return fail('config_invalid', 'Correct the address.');
  if (networkCodes.has(code) || waitingStates.test(code))
    return fail('server_down', 'Start the server, or correct its address.');
  const name = String((error as Foreign | null)?.name ?? '');
  if (name === 'RegistryError') {
    const { kind, remedy } = error as { kind: ErrorCode; remedy: string };
    return fail(kind, remedy);
  }
  if ((error as Foreign | null)?.type === 'INVALID_SESSION_TIMEOUT') {
    return fail(
      'config_invalid',
      "Set CROSSWALK_SESSION_TIMEOUT_MS between the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms.",
    );
  }
  const refusal = toKafkaRefusal(error);
  if (refusal !== null) {
    const where = refusal.topic === null ? what : `${what}, topic ${refusal.topic}`;
    return new CrosswalkError(refusal.code, `${where}: ${message}`, refusal.remedy, error);
  }
  if (isSettling(error)) {
    return fail('server_down', 'Kafka is settling: it is tried again.');
  }
  // The library takes a refusal for a coordinator that is not there yet.
  if (name.startsWith('KafkaJSGroupCoordinator'))
    return fail(
      'server_down',
      'Look whether the brokers are up, and whether crosswalk may describe its groups and transactional id: docs/operations.md lists the rights.',
    );
  if (
    /^Kafka(JS)?(Connection|BrokerNotFound|RequestTimeout|NumberOfRetries|NoBroker|Metadata|Timeout|LockTimeout)/.test(
      name,
    ) ||
    /Connection terminated|Connection timeout|timeout expired|Client network socket|connection error and is not queryable|Closed connection/i.test(
      message,
    )
  ) {
    return fail('server_down', 'Start the server, or correct its address.');
  }
  return fail('unexpected', 'This is not expected: see the log around this line, with LOG_LEVEL=debug.');
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
