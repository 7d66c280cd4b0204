/** Prefix of the logical message by which an application states who changes rows, and why. */
export const CONTEXT_PREFIX = 'crosswalk.context';
/** Header of every event of a transaction that has a context. */
export const CONTEXT_HEADER = 'crosswalk.context';

/** Maximum bytes of a message; a larger one is not a context. */
const MOST_BYTES = 4096;
/** Maximum characters of one value. */
const MOST_CHARACTERS = 500;

/** Who changed rows, as stated by the application. `ip` is an IPv4 or IPv6 address, without a zone. */
export interface TransactionContext {
  readonly actor: string | null;
  readonly ip: string | null;
  readonly reason: string | null;
}

/**
 * Parses the context of a message: a JSON object with `actor`, `ip` and `reason`, all of them optional strings. Null if
 * it holds none that can be kept. Never throws: whatever an application writes, its rows arrive.
 */
export function parseContext(content: Buffer): TransactionContext | null {
  if (content.length > MOST_BYTES) return null;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content));
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const { actor, ip, reason } = value as Record<string, unknown>;
  const address = toText(ip);
  const context = {
    actor: toText(actor),
    ip: address !== null && isAddress(address) ? address : null,
    reason: toText(reason),
  };
  return Object.values(context).every((each) => each === null) ? null : context;
}

/** The value of the header: the same bytes for the same context. */
export function toContextBytes({ actor, ip, reason }: TransactionContext): Buffer {
  return Buffer.from(JSON.stringify({ actor, ip, reason }));
}

/** PostgreSQL's text holds neither U+0000 nor half a surrogate pair. */
function toText(value: unknown): string | null {
  if (typeof value !== 'string' || value === '' || value.length > MOST_CHARACTERS) return null;
  return value.includes('\0') || !value.isWellFormed() ? null : value;
}

/** Whether PostgreSQL's `inet` accepts the text as a single address. */
function isAddress(text: string): boolean {
  return isV4(text) || isV6(text);
}

function isV4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function isV6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1);
  const hasV4 = last?.includes('.') === true && !text.endsWith('::');
  if (hasV4 && !isV4(last)) return false;
  const hex = hasV4 ? groups.slice(0, -1) : groups;
  if (!hex.every((group) => /^[\da-f]{1,4}$/i.test(group))) return false;
  const count = hex.length + (hasV4 ? 2 : 0);
  return halves.length === 2 ? count < 8 : count === 8;
}
