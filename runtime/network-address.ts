import { isIPv6 } from 'node:net';
import { CrosswalkError } from './errors.ts';

function refuse(problem: string): never {
  throw new CrosswalkError('config_invalid.address', problem);
}

/** The items of a list with commas: a set in the order of the text, without spaces and empty places. */
export function parseList(text: string): string[] {
  return [...new Set(text.split(',').map((item) => item.trim()))].filter((item) => item !== '');
}

/** A host; the brackets that an IPv6 address has in a URL are taken off. */
export function parseHost(text: string): string {
  const inside = /^\[(.*)\]$/.exec(text.trim())?.[1];
  return inside !== undefined && isIPv6(inside) ? inside : text.trim();
}

/** `host:port`, with an IPv6 address in brackets. */
export function hostAndPort(host: string, port: number): string {
  return host.includes(':') && !host.startsWith('/') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Brokers as host:port, each once. Throws `config_invalid`, which says which is wrong by its place in the list. */
export function parseBrokers(text: string): string[] {
  const items = parseList(text);
  if (items.length === 0) refuse('must be host:port[,host:port…]');
  const brokers = items.map((item, at) => {
    const which = items.length === 1 ? '' : `, and item ${at + 1} `;
    const wrong = (why: string) => refuse(`must be host:port[,host:port…]${which || ': it '}${why}`);
    if (item.includes('://')) wrong('begins with a protocol');
    const found = /^(\[[^\]]*\]|[^:[\]\s/?#@]+):(\d+)$/.exec(item);
    if (found === null)
      return wrong(
        isIPv6(item.replace(/:\d+$/, '')) || isIPv6(item)
          ? 'is an IPv6 address without brackets: write [::1]:9092'
          : 'is not a host and a port',
      );
    const [, host, port] = found as unknown as [string, string, string];
    if (host.startsWith('[') && !isIPv6(host.slice(1, -1))) wrong('has no IPv6 address between its brackets');
    if (Number(port) < 1 || Number(port) > 65_535) wrong('has a port that is not between 1 and 65535');
    return `${host.toLowerCase()}:${Number(port)}`;
  });
  return [...new Set(brokers)];
}

/** The base of a schema registry's API, without a slash at its end. Throws `config_invalid`. */
export function parseRegistryUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    refuse('must be an address like http://host:8081/path');
  if (url.hostname.includes(',')) refuse('must name one host');
  if (url.search !== '' || url.hash !== '') refuse('must end with its path: it takes no parameters');
  if (url.port === '0') refuse('must have a port between 1 and 65535');
  return text.trim().replace(/\/+$/, '');
}
