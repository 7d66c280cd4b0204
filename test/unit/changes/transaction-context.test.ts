import { expect, test } from 'vitest';
import { parseContext, toContextBytes } from '../../../changes/transaction-context.ts';

const parse = (text: string) => parseContext(Buffer.from(text));
const ipOf = (ip: string) => parse(JSON.stringify({ actor: 'a', ip }))!.ip;

test('actor, address and reason are kept as they are', () => {
  expect(parse('{"reason":"import é","actor":"anna","ip":"10.1.2.3"}')).toEqual({
    actor: 'anna',
    ip: '10.1.2.3',
    reason: 'import é',
  });
});

test('what is missing, empty, or no text is null', () => {
  expect(parse('{"actor":"anna"}')).toEqual({ actor: 'anna', ip: null, reason: null });
  expect(parse('{"actor":7,"ip":"","reason":"x","more":true}')).toEqual({ actor: null, ip: null, reason: 'x' });
});

test.each([
  'nonsense',
  '',
  '[]',
  'null',
  '"actor"',
  '7',
  '{}',
  '{"actor":null}',
  '{"__proto__":{"actor":"anna"}}',
])('%s is no context', (text) => {
  expect(parse(text)).toBeNull();
});

test('bytes that are not UTF-8 are no context', () => {
  expect(parseContext(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toBeNull();
});

test('a message of more than 4,096 bytes is no context', () => {
  const padded = (bytes: number) => `{"actor":"anna","x":"${'y'.repeat(bytes - 23)}"}`;
  expect(Buffer.byteLength(padded(4096))).toBe(4096);
  expect(parse(padded(4096))).not.toBeNull();
  expect(parse(padded(4097))).toBeNull();
});

test('a value of more than 500 characters is left out', () => {
  expect(parse(`{"actor":"${'a'.repeat(500)}"}`)!.actor).toHaveLength(500);
  expect(parse(`{"actor":"${'a'.repeat(501)}","reason":"x"}`)).toEqual({ actor: null, ip: null, reason: 'x' });
});

test('what PostgreSQL cannot hold as text is left out', () => {
  expect(parse('{"actor":"a\\u0000b","reason":"x"}')!.actor).toBeNull();
  expect(parse('{"actor":"a\\ud800","reason":"x"}')!.actor).toBeNull();
});

test.each(['0.0.0.0', '255.255.255.255', '::', '::1', 'fe80::1:2', '1:2:3:4:5:6:7:8', '::ffff:10.0.0.1', 'A::b'])(
  '%s is an address',
  (ip) => {
    expect(ipOf(ip)).toBe(ip);
  },
);

test.each([
  '256.1.1.1',
  '01.2.3.4',
  '1.2.3',
  '10.0.0.0/8',
  'fe80::1%eth0',
  '1:2:3:4:5:6:7',
  '1::2::3',
  ':::',
  '1:2:3:4:5:6:7:8::',
  '12345::',
  '1.2.3.4::',
  'localhost',
])('%s is no address, and left out', (ip) => {
  expect(ipOf(ip)).toBeNull();
});

test('one context has one header, whatever the order in the message', () => {
  const a = toContextBytes(parse('{"ip":"::1","actor":"anna"}')!);
  const b = toContextBytes(parse('{ "actor": "anna", "ip": "::1" }')!);
  expect(a.equals(b)).toBe(true);
  expect(parseContext(a)).toEqual({ actor: 'anna', ip: '::1', reason: null });
});
