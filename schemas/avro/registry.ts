import { CrosswalkError } from '../../runtime/errors.ts';
import { pause } from '../../runtime/retry.ts';

/** A failed call to the schema registry. `retry` tells whether the same call may succeed later. */
export class RegistryError extends Error {
  readonly retry: boolean;

  constructor(message: string, retry: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RegistryError';
    this.retry = retry;
  }
}

export type RegistryOptions = {
  /** The base of the Confluent-compatible API, such as `http://127.0.0.1:8080/apis/ccompat/v7`. */
  baseUrl: string;
  username?: string;
  password?: string;
  /** The longest a single request may take; 10,000 by default. */
  timeoutMs?: number;
  /** For how long a schema may be unknown: a registry that has just been started may answer before it has read its storage. 20,000 by default. */
  unknownMs?: number;
};

const UNKNOWN_MS = 20_000;
const ASK_AGAIN_MS = 500;

export type Registry = {
  /**
   * The id of the schema under the subject; the same schema always has the same id. A new subject gets the
   * FULL_TRANSITIVE rule. Throws RegistryError, without retry when the schema breaks the rule.
   */
  register(subject: string, schema: object): Promise<number>;
  /** The JSON text of a schema. Cached for good: an id never changes its meaning. */
  schemaById(id: number): Promise<string>;
  /** Every version of a subject's schema, oldest first, as JSON texts; none where there is no such subject. */
  versionsOf(subject: string): Promise<string[]>;
  /** The compatibility rule of a subject; null where it has none of its own. Any answer proves that the registry is there. */
  compatibilityOf(subject: string): Promise<string | null>;
  close(): void;
};

/** The rule that every subject of the log has. */
export const COMPATIBILITY = 'FULL_TRANSITIVE';

/** A client of a schema registry with Confluent's API. */
export function createRegistry(options: RegistryOptions): Registry {
  const closing = new AbortController();
  const schemas = new Map<number, Promise<string>>();
  const request = createRequest(options, closing.signal);

  async function ensureRule(subject: string): Promise<void> {
    const path = `/config/${encodeURIComponent(subject)}`;
    const { status } = await request('PUT', path, { compatibility: COMPATIBILITY });
    // Two connectors that start at once may ask for it in the same moment.
    if (status === 409)
      throw new RegistryError(`schema registry: somebody else sets the compatibility of subject ${subject}`, true);
    if (status !== 200) throw refused(`set the compatibility of subject ${subject}`, status);
  }

  return {
    async register(subject, schema) {
      const path = `/subjects/${encodeURIComponent(subject)}/versions`;
      const versions = await request('GET', path);
      const isNew = versions.status === 404;
      if (isNew) await ensureRule(subject);
      else if (versions.status !== 200) throw refused(`read the versions of subject ${subject}`, versions.status);
      const { status, body } = await request('POST', path, { schema: JSON.stringify(schema) });
      if (status === 409) {
        throw new RegistryError(
          `subject ${subject}: the new schema is not ${COMPATIBILITY} with its earlier versions, a column was probably ` +
            'given another type; undo that, or start over with a new topic prefix and a snapshot of the table',
          false,
        );
      }
      const id = (body as { id?: unknown } | null)?.id;
      if (status !== 200 || typeof id !== 'number') throw refused(`register a schema for subject ${subject}`, status);
      return id;
    },

    schemaById(id) {
      let schema = schemas.get(id);
      if (schema === undefined) {
        schema = fetchSchema(request, id, options.unknownMs ?? UNKNOWN_MS, closing.signal);
        schemas.set(id, schema);
        schema.catch(() => schemas.delete(id));
      }
      return schema;
    },

    async versionsOf(subject) {
      const path = `/subjects/${encodeURIComponent(subject)}/versions`;
      const { status, body } = await request('GET', path);
      if (status === 404) return [];
      if (status !== 200 || !Array.isArray(body)) throw refused(`read the versions of subject ${subject}`, status);
      const found: string[] = [];
      for (const version of body) {
        const answer = await request('GET', `${path}/${version}`);
        const schema = (answer.body as { schema?: unknown } | null)?.schema;
        if (answer.status !== 200 || typeof schema !== 'string')
          throw refused(`read version ${version} of subject ${subject}`, answer.status);
        found.push(schema);
      }
      return found;
    },

    async compatibilityOf(subject) {
      const { status, body } = await request('GET', `/config/${encodeURIComponent(subject)}`);
      if (status === 404) return null;
      const level = (body as { compatibilityLevel?: unknown } | null)?.compatibilityLevel;
      if (status !== 200 || typeof level !== 'string')
        throw refused(`read the compatibility of subject ${subject}`, status);
      return level;
    },

    close: () => closing.abort(),
  };
}

type Answer = { status: number; body: unknown };
type Request = (method: string, path: string, body?: object) => Promise<Answer>;

async function fetchSchema(request: Request, id: number, unknownMs: number, signal: AbortSignal): Promise<string> {
  const untilMs = performance.now() + unknownMs;
  let { status, body } = await request('GET', `/schemas/ids/${id}`);
  while (status === 404 && performance.now() < untilMs) {
    await pause(ASK_AGAIN_MS, signal);
    ({ status, body } = await request('GET', `/schemas/ids/${id}`));
  }
  const schema = (body as { schema?: unknown } | null)?.schema;
  if (status === 404) {
    throw new RegistryError(
      `the schema registry has no schema ${id}: it is not the registry this topic was written with, or its storage was lost`,
      false,
    );
  }
  if (status !== 200 || typeof schema !== 'string') throw refused(`read schema ${id}`, status);
  return schema;
}

function createRequest(options: RegistryOptions, closing: AbortSignal): Request {
  const { timeoutMs = 10_000 } = options;
  const { base, username, password } = parseAddress(options);
  const contentType = 'application/vnd.schemaregistry.v1+json';
  const headers: Record<string, string> = { accept: `${contentType}, application/json`, 'content-type': contentType };
  if (username !== '') {
    headers.authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }
  return async (method, path, body) => {
    const signal = AbortSignal.any([closing, AbortSignal.timeout(timeoutMs)]);
    try {
      const response = await fetch(base + path, {
        method,
        headers,
        signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: parseJson(text) };
    } catch (cause) {
      if (closing.aborted) throw new RegistryError('the schema registry client is closed', false, cause);
      if ((cause as { cause?: { message?: unknown } }).cause?.message === 'bad port')
        throw new CrosswalkError(
          'config_invalid',
          'schema registry: its port is one that fetch never connects to, since other protocols own it',
          'Let it listen on another port, and correct SCHEMA_REGISTRY_URL.',
          cause,
        );
      const why = signal.aborted ? `no answer within ${timeoutMs} ms` : 'no connection';
      throw new RegistryError(`schema registry: ${why}; check that it runs and that its address is right`, true, cause);
    }
  };
}

/** fetch refuses an address that holds credentials, with an error that shows them. */
function parseAddress(options: RegistryOptions): { base: string; username: string; password: string } {
  let url: URL;
  try {
    url = new URL(options.baseUrl);
  } catch {
    throw new RegistryError('schema registry: its address is not a URL', false);
  }
  const username = options.username ?? decodeURIComponent(url.username);
  const password = options.password ?? decodeURIComponent(url.password);
  return { base: url.origin + url.pathname.replace(/\/+$/, ''), username, password };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function refused(what: string, status: number): RegistryError {
  if (status === 401 || status === 403) {
    return new RegistryError(
      `schema registry: not allowed to ${what} (HTTP ${status}); check its user and rights`,
      false,
    );
  }
  if (status === 422)
    return new RegistryError(`schema registry: could not ${what}: it takes the schema for invalid`, false);
  const retry = status >= 500 || status === 408 || status === 429;
  const remedy = retry
    ? 'look at its log if this goes on'
    : 'check that its address ends with the Confluent-compatible API';
  return new RegistryError(`schema registry: could not ${what} (HTTP ${status}); ${remedy}`, retry);
}
