import { type ErrorCode, Failure } from '../../runtime/error-codes.ts';

/** The registry's response to a failed call: the status, and the body if it was JSON. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * The problem and its remedy. `retry`: whether the same call may succeed later; `kind` and `remedy` are those of
 * `failure`.
 */
export interface RegistryRefusal {
  readonly message: string;
  readonly retry: boolean;
  readonly failure: Failure;
  readonly kind: ErrorCode;
  readonly remedy: string;
}

export const refusalOf = (failure: Failure, message: string, retry = false): RegistryRefusal => ({
  message,
  retry,
  failure,
  kind: failure.code,
  remedy: failure.remedy,
});

/**
 * Confluent's code for a call that the mode forbids; Apicurio returns a 409 for it, which otherwise means an
 * incompatible schema.
 */
const OPERATION_NOT_PERMITTED = 42205;
const UNKNOWN_SUBJECT = 40401;
const UNKNOWN_SCHEMA = 40403;

const codeOf = ({ body }: Answer): number | null => {
  const code = (body as { error_code?: unknown } | null)?.error_code;
  return typeof code === 'number' ? code : null;
};

/** The registry's error message, shortened to one line. */
const sayingOf = ({ body }: Answer): string => {
  const message = (body as { message?: unknown } | null)?.message;
  return typeof message === 'string' ? message.split('\n')[0]!.slice(0, 200) : '';
};

/** Whether the response to a lookup means that the subject, or the schema under it, does not exist; null if neither. */
export function parseUnknown(answer: Answer): 'subject' | 'schema' | null {
  if (answer.status !== 404) return null;
  const code = codeOf(answer);
  return code === UNKNOWN_SUBJECT ? 'subject' : code === UNKNOWN_SCHEMA ? 'schema' : null;
}

/** The refusal for a registry, or a subject, that is not writable; used by `doctor` and the connector. */
export function toModeRefusal(mode: string, subject: string | null): RegistryRefusal {
  const where = subject === null ? 'The schema registry' : `Subject ${subject} of the schema registry`;
  const failure = Failure.of('permission_denied.registry_mode', {
    path: subject === null ? '/mode' : `/mode/${subject}`,
  });
  return refusalOf(failure, `${where} is in mode ${mode}: it takes no new schema`);
}

/** Whether a registry or subject in this mode accepts no new schema. */
export function isClosed(mode: string): boolean {
  return /^(READONLY|READONLY_OVERRIDE|IMPORT)$/.test(mode);
}

/** The mode that a response gives as the reason for refusing a write; null if it gives another reason. */
export function parseMode(answer: Answer): string | null {
  const saying = sayingOf(answer);
  if (answer.status === 409 && /read-only mode/i.test(saying)) return 'READONLY';
  if (answer.status !== 422 || codeOf(answer) !== OPERATION_NOT_PERMITTED) return null;
  return /read-only/i.test(saying) ? 'READONLY' : /import/i.test(saying) ? 'IMPORT' : 'other than READWRITE';
}

/** Why the registry refused a call. `what` completes "could not". */
export function toRegistryRefusal(what: string, answer: Answer): RegistryRefusal {
  const { status } = answer;
  const code = codeOf(answer);
  const saying = sayingOf(answer);
  const said = `${status}${code === null || code === status ? '' : `, ${code}`}${saying === '' ? '' : `: ${saying}`}`;
  const message = `schema registry: could not ${what} (HTTP ${said})`;
  const mode = parseMode(answer);
  if (mode !== null) return toModeRefusal(mode, null);
  if (status === 401 || status === 403 || status === 407)
    return refusalOf(
      Failure.of('permission_denied.registry'),
      `schema registry: not allowed to ${what} (HTTP ${said})`,
    );
  if (status === 422) return refusalOf(Failure.of('schema_incompatible.refused'), message);
  if (status >= 500 || status === 408 || status === 429)
    return refusalOf(Failure.of('server_down.registry_fails'), message, true);
  if (status === 404 || status === 405) return refusalOf(Failure.of('config_invalid.registry_path'), message);
  return refusalOf(Failure.of('config_invalid.registry_other'), message);
}
