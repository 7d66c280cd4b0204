import { hash } from 'node:crypto';

/** Namespace of every id that crosswalk derives from a name. */
export const namespace = '3a9f6c52-8d0b-5e0e-9b1c-6f0c1f7d2a10';

const namespaceBytes = Buffer.from(namespace.replaceAll('-', ''), 'hex');

// Nine ids are derived for a typical row, so nothing is allocated for one but its hash and its text.
const usualBuffer = Buffer.alloc(1024);
usualBuffer.set(namespaceBytes);
/** Views of the beginning of the usual buffer, by length. */
const beginnings: (Buffer | undefined)[] = new Array(usualBuffer.length + 1).fill(undefined);
const uuid = Buffer.alloc(36, '-');
/** Place of each hexadecimal digit in the text of a UUID. */
const places = Uint8Array.from([...namespace].flatMap((character, at) => (character === '-' ? [] : [at])));
const VERSION_AT = 14;
const VARIANT_AT = 19;
const variants = Buffer.from('89ab');

/** UUID v5 of `name` (taken as UTF-8) under the project's namespace, in lower case. */
export function uuid5(name: string): string {
  if (16 + 3 * name.length > usualBuffer.length)
    return formatUuid(hash('sha1', Buffer.concat([namespaceBytes, Buffer.from(name)]), 'hex'));
  const length = 16 + usualBuffer.write(name, 16);
  beginnings[length] ??= usualBuffer.subarray(0, length);
  return formatUuid(hash('sha1', beginnings[length], 'hex'));
}

/** Formats the first 128 bits of a hash as a UUID, with version and variant set. */
function formatUuid(hex: string): string {
  for (let digit = 0; digit < places.length; digit += 1) uuid[places[digit]!] = hex.charCodeAt(digit);
  uuid[VERSION_AT] = 0x35;
  uuid[VARIANT_AT] = variants[Number.parseInt(hex.charAt(16), 16) & 3]!;
  return uuid.toString('latin1');
}
