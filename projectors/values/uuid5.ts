import { paddedLength, sha1 } from './sha1.ts';

/** Namespace of every id that crosswalk derives from a name. */
export const namespace = '3a9f6c52-8d0b-5e0e-9b1c-6f0c1f7d2a10';

const namespaceBytes = Uint8Array.from(namespace.replaceAll('-', '').match(/../g) ?? [], (hex) => parseInt(hex, 16));
const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const encoder = new TextEncoder();
const usualBuffer = new Uint8Array(1024);
usualBuffer.set(namespaceBytes);

/** UUID v5 of `name` (taken as UTF-8) under the project's namespace, in lower case. */
export function uuid5(name: string): string {
  const longest = paddedLength(16 + 3 * name.length);
  let buffer = usualBuffer;
  if (longest > buffer.length) {
    buffer = new Uint8Array(longest);
    buffer.set(namespaceBytes);
  }
  return formatUuid(sha1(buffer, 16 + encode(name, buffer)));
}

function encode(name: string, buffer: Uint8Array): number {
  for (let at = 0; at < name.length; at += 1) {
    const codeUnit = name.charCodeAt(at);
    if (codeUnit >= 0x80) return encoder.encodeInto(name, buffer.subarray(16)).written;
    buffer[16 + at] = codeUnit;
  }
  return name.length;
}

function formatUuid(words: Int32Array): string {
  const second = (words[1]! & 0xffff0fff) | 0x5000;
  const third = (words[2]! & 0x3fffffff) | 0x80000000;
  return (
    `${hexOfHalf(words[0]! >>> 16)}${hexOfHalf(words[0]!)}-${hexOfHalf(second >>> 16)}-${hexOfHalf(second)}` +
    `-${hexOfHalf(third >>> 16)}-${hexOfHalf(third)}${hexOfHalf(words[3]! >>> 16)}${hexOfHalf(words[3]!)}`
  );
}

function hexOfHalf(word: number): string {
  return hexOfByte[(word >>> 8) & 0xff]! + hexOfByte[word & 0xff]!;
}
