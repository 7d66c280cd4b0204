import { hash } from 'node:crypto';

/** Namespace of every id that crosswalk derives from a name. */
export const namespace = '3a9f6c52-8d0b-5e0e-9b1c-6f0c1f7d2a10';

const namespaceBytes = Buffer.from(namespace.replaceAll('-', ''), 'hex');
const usualBuffer = Buffer.alloc(1024);
usualBuffer.set(namespaceBytes);

/** UUID v5 of `name` (taken as UTF-8) under the project's namespace, in lower case. */
export function uuid5(name: string): string {
  const longest = 16 + 3 * name.length;
  let buffer = usualBuffer;
  if (longest > buffer.length) {
    buffer = Buffer.alloc(longest);
    buffer.set(namespaceBytes);
  }
  return formatUuid(hash('sha1', buffer.subarray(0, 16 + buffer.write(name, 16)), 'hex'));
}

/** Formats the first 128 bits of a hash as a UUID, with version and variant set. */
function formatUuid(hex: string): string {
  const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3]!;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
