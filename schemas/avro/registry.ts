import https from 'node:https';
import { Failure } from '../../runtime/error-codes.ts';
import { http } from '../../runtime/node-http.ts';
import { pause } from '../../runtime/retry.ts';
import {
  type Answer,
  isClosed,
  parseMode,
  parseUnknown,
  type RegistryRefusal,
  refusalOf,
  toModeRefusal,
  toRegistryRefusal,
} from './registry-refusal.ts';

/**
 * A failed call to the schema registry. `retry`: whether the same call may succeed later; `failure`: what an operator
 * must do otherwise.
 */
export class RegistryError extends Error {
  readonly retry: boolean;
  /** This error has no `code` of its own: `toCrosswalkError` takes the code from the cause. */
  readonly failure: Failure;

  constructor({ message, retry, failure }: RegistryRefusal, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RegistryError';
    this.retry = retry;
    this.failure = failure;
  }
}

export type RegistryOptions = {
  /** Base URL of the Confluent-compatible API, such as `http://127.0.0.1:8080/apis/ccompat/v7`. */
  baseUrl: string;
  username?: string;
  password?: string;
  /** Timeout of a single request, in milliseconds; 10,000 by default. */
  timeoutMs?: number;
  /**
   * How long to retry an unknown schema, in milliseconds: a registry that has just started may respond before it has
   * read its storage. 20,000 by default.
   */
  unknownMs?: number;
};

/** Largest schema id in the wire format. */
const MOST_ID = 0xffff_ffff;
const UNKNOWN_MS = 20_000;
const ASK_AGAIN_MS = 500;
const CONNECTIONS = { keepAlive: true, maxSockets: 8 };

export type Registry = {
  /**
   * Returns the id of the schema under the subject; the same schema always has the same id. A new subject gets the
   * FULL_TRANSITIVE rule. Writes nothing if the schema is known, so a read-only registry suffices. Throws
   * RegistryError, without retry if the schema violates the rule.
   */
  register(subject: string, schema: object): Promise<number>;
  /** The JSON text of a schema. Cached forever: an id never changes its meaning. */
  schemaById(id: number): Promise<string>;
  /** All versions of a subject's schema, oldest first, as JSON texts; empty if the subject does not exist. */
  versionsOf(subject: string): Promise<string[]>;
  /**
   * The compatibility rule of a subject; null if it has none of its own. Any result proves that the registry is
   * reachable.
   */
  compatibilityOf(subject: string): Promise<string | null>;
  /**
   * The registry itself (subject null), or else the subjects, that accept no new schema, with their mode; empty if the
   * registry does not report modes.
   */
  closedModes(subjects: readonly string[]): Promise<{ subject: string | null; mode: string }[]>;
  close(): void;
};

/** The compatibility rule of every subject of the log. */
export const COMPATIBILITY = 'FULL_TRANSITIVE';

/** A client for a schema registry with Confluent's API. */
export function createRegistry(options: RegistryOptions): Registry {
  const closing = new AbortController();
  const schemas = new Map<number, Promise<string>>();
  const request = createRequest(options, closing.signal);

  async function ensureRule(subject: string): Promise<void> {
    const path = `/config/${encodeURIComponent(subject)}`;
    const answer = await request('PUT', path, { compatibility: COMPATIBILITY });
    if (answer.status === 200) return;
    // Two connectors that start at the same time may request this simultaneously.
    if (answer.status === 409 && parseMode(answer) === null) {
      const message = `schema registry: somebody else sets the compatibility of subject ${subject}`;
      throw new RegistryError(refusalOf(Failure.of('server_down.again'), message, true));
    }
    throw await notWritten(`set the compatibility of subject ${subject}`, subject, answer);
  }

  /** A response that gives a mode names the subject even if the mode is that of the whole registry. */
  async function notWritten(what: string, subject: string, answer: Answer): Promise<RegistryError> {
    const mode = parseMode(answer);
    if (mode === null) return refused(what, answer);
    const closed = (await closedModes([subject]).catch(() => []))[0] ?? { mode, subject: null };
    return new RegistryError(toModeRefusal(closed.mode, closed.subject));
  }

  async function closedModes(subjects: readonly string[]): Promise<{ subject: string | null; mode: string }[]> {
    const ofAll = await request('GET', '/mode');
    const modeOf = ({ status, body }: Answer) => {
      const mode = (body as { mode?: unknown } | null)?.mode;
      return status === 200 && typeof mode === 'string' ? mode : null;
    };
    const mode = modeOf(ofAll) ?? (await readApicurioMode(request));
    if (mode !== null && isClosed(mode)) return [{ subject: null, mode }];
    if (modeOf(ofAll) === null) return [];
    const closed: { subject: string; mode: string }[] = [];
    for (const subject of subjects) {
      const own = modeOf(await request('GET', `/mode/${encodeURIComponent(subject)}`));
      if (own !== null && isClosed(own)) closed.push({ subject, mode: own });
    }
    return closed;
  }

  return {
    async register(subject, schema) {
      const path = `/subjects/${encodeURIComponent(subject)}`;
      const content = { schema: JSON.stringify(schema) };
      let answer = await request('POST', path, content);
      const unknown = parseUnknown(answer);
      if (unknown !== null) {
        if (unknown === 'subject') await ensureRule(subject);
        answer = await request('POST', `${path}/versions`, content);
      }
      const { status, body } = answer;
      if (status === 409 && parseMode(answer) === null) {
        const message =
          `subject ${subject}: the new schema is not ${COMPATIBILITY} with its earlier versions, a column was probably ` +
          'given another type; undo that, or start over with a new topic prefix and a snapshot of the table';
        throw new RegistryError(refusalOf(Failure.of('schema_incompatible'), message));
      }
      const id = (body as { id?: unknown } | null)?.id;
      if (status !== 200 || typeof id !== 'number')
        throw await notWritten(`register a schema for subject ${subject}`, subject, answer);
      if (!Number.isInteger(id) || id < 0 || id > MOST_ID) {
        const message = `schema registry: subject ${subject} has a schema with id ${id}, and a record's header holds four bytes`;
        throw new RegistryError(refusalOf(Failure.of('config_invalid.registry_ids'), message));
      }
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
      const all = await request('GET', path);
      if (all.status === 404) return [];
      if (all.status !== 200 || !Array.isArray(all.body)) throw refused(`read the versions of subject ${subject}`, all);
      const read = async (version: unknown) => {
        const answer = await request('GET', `${path}/${version}`);
        const schema = (answer.body as { schema?: unknown } | null)?.schema;
        if (answer.status !== 200 || typeof schema !== 'string')
          throw refused(`read version ${version} of subject ${subject}`, answer);
        return schema;
      };
      return Promise.all(all.body.map(read));
    },

    async compatibilityOf(subject) {
      const answer = await request('GET', `/config/${encodeURIComponent(subject)}`);
      if (answer.status === 404) return null;
      const level = (answer.body as { compatibilityLevel?: unknown } | null)?.compatibilityLevel;
      if (answer.status !== 200 || typeof level !== 'string')
        throw refused(`read the compatibility of subject ${subject}`, answer);
      return level;
    },

    closedModes,

    close: () => closing.abort(),
  };
}

type Request = (method: string, path: string, body?: object) => Promise<Answer>;

/** Relative to the Confluent-compatible API, `/apis/ccompat/v7`. */
const APICURIO_READ_ONLY = '/../../registry/v3/admin/config/properties/apicurio.storage.read-only.enabled';

/**
 * Apicurio reports no modes but has a setting that makes it read-only; null if it is off, if this is another registry,
 * or if access is denied.
 */
async function readApicurioMode(request: Request): Promise<string | null> {
  const answer = await request('GET', APICURIO_READ_ONLY);
  const value = (answer.body as { value?: unknown } | null)?.value;
  return answer.status === 200 && value === 'true' ? 'READONLY' : null;
}

async function fetchSchema(request: Request, id: number, unknownMs: number, signal: AbortSignal): Promise<string> {
  const untilMs = performance.now() + unknownMs;
  let answer = await request('GET', `/schemas/ids/${id}`);
  while (answer.status === 404 && performance.now() < untilMs) {
    await pause(ASK_AGAIN_MS, signal);
    answer = await request('GET', `/schemas/ids/${id}`);
  }
  if (answer.status === 404) {
    const message = `the schema registry has no schema ${id}: it is not the registry this topic was written with, or its storage was lost`;
    throw new RegistryError(refusalOf(Failure.of('schema_incompatible.unknown'), message));
  }
  const schema = (answer.body as { schema?: unknown } | null)?.schema;
  if (answer.status !== 200 || typeof schema !== 'string') throw refused(`read schema ${id}`, answer);
  return schema;
}

function createRequest(options: RegistryOptions, closing: AbortSignal): Request {
  const { timeoutMs = 10_000 } = options;
  const { base, username, password } = parseAddress(options);
  const isTls = base.startsWith('https:');
  // Connections are reused: a start makes a dozen requests.
  const agent = isTls ? new https.Agent(CONNECTIONS) : new http.Agent(CONNECTIONS);
  closing.addEventListener('abort', () => agent.destroy(), { once: true });
  const contentType = 'application/vnd.schemaregistry.v1+json';
  const headers: Record<string, string> = { accept: `${contentType}, application/json`, 'content-type': contentType };
  if (username !== '') {
    headers.authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }
  const send = (method: string, path: string, body: object | undefined, signal: AbortSignal) =>
    new Promise<Answer>((resolve, reject) => {
      const request = (isTls ? https : http).request(base + path, { method, headers, signal, agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: parseJson(Buffer.concat(chunks).toString()) }),
        );
        response.on('error', reject);
      });
      request.on('error', reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  return async (method, path, body) => {
    const signal = AbortSignal.any([closing, AbortSignal.timeout(timeoutMs)]);
    try {
      return await send(method, path, body, signal);
    } catch (cause) {
      const fail = (message: string, retry: boolean) =>
        new RegistryError(refusalOf(Failure.of('server_down.registry'), message, retry), cause);
      if (closing.aborted) throw fail('the schema registry client is closed', false);
      const why = signal.aborted ? `no answer within ${timeoutMs} ms` : 'no connection';
      throw fail(`schema registry: ${why}; check that it runs and that its address is right`, true);
    }
  };
}

/** Credentials are separated from the address, which errors may show. */
function parseAddress(options: RegistryOptions): { base: string; username: string; password: string } {
  let url: URL;
  try {
    url = new URL(options.baseUrl);
  } catch {
    const failure = Failure.of('config_invalid.registry_address');
    throw new RegistryError(refusalOf(failure, 'schema registry: its address is not a URL'));
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

function refused(what: string, answer: Answer): RegistryError {
  return new RegistryError(toRegistryRefusal(what, answer));
}
