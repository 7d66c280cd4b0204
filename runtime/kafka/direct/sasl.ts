import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { KafkaSettings } from '../../config.ts';
import { KafkaConnectionError, KafkaProtocolError } from './broker-errors.ts';
import { type Api, saslAuthenticate, saslHandshake } from './requests.ts';

type Ask = <A, R>(api: Api<A, R>, asked: A) => Promise<R>;

/** More rounds than any real server needs; a server that asks for more is hostile. */
const MAX_ROUNDS = 1_000_000;

/** Logs in over a connection that was just opened. Throws an error whose message says `SASL` and `authentication failed`; it never holds the password. */
export async function logIn(ask: Ask, sasl: NonNullable<KafkaSettings['sasl']>): Promise<void> {
  const mechanism = sasl.mechanism.toUpperCase();
  const { code } = await ask(saslHandshake, mechanism);
  if (code !== 0) throw new KafkaProtocolError(code, { message: `SASL mechanism ${mechanism} is not enabled there` });
  if (sasl.mechanism === 'plain') await say(ask, `\0${sasl.username}\0${sasl.password}`);
  else await scram(ask, sasl, sasl.mechanism === 'scram-sha-256' ? 'sha256' : 'sha512');
}

async function say(ask: Ask, text: string): Promise<string> {
  const { code, message, bytes } = await ask(saslAuthenticate, Buffer.from(text));
  if (code === 0) return bytes.toString();
  throw new KafkaProtocolError(code, { message: `SASL authentication failed${message ? `: ${message}` : ''}` });
}

/** RFC 5802, without channel binding. */
async function scram(ask: Ask, { username, password }: { username: string; password: string }, hash: string) {
  const nonce = randomBytes(24).toString('base64url');
  const first = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
  const challenge = await say(ask, `n,,${first}`);
  const said = readAttributes(challenge);
  const rounds = Number(said.i);
  if (!said.r?.startsWith(nonce) || said.s === undefined || !(rounds > 0 && rounds <= MAX_ROUNDS)) throw toBadAnswer();
  const bytes = createHash(hash).digest().length;
  const salted = await promisify(pbkdf2)(
    password.normalize('NFKC'),
    Buffer.from(said.s, 'base64'),
    rounds,
    bytes,
    hash,
  );
  const hmac = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest();
  const clientKey = hmac(salted, 'Client Key');
  const withoutProof = `c=biws,r=${said.r}`;
  const signed = `${first},${challenge},${withoutProof}`;
  const signature = hmac(createHash(hash).update(clientKey).digest(), signed);
  const proof = Buffer.from(clientKey.map((byte, at) => byte ^ signature[at]!)).toString('base64');
  const last = readAttributes(await say(ask, `${withoutProof},p=${proof}`));
  const verified = Buffer.from(last.v ?? '', 'base64');
  const expected = hmac(hmac(salted, 'Server Key'), signed);
  if (verified.length !== expected.length || !timingSafeEqual(verified, expected)) throw toBadAnswer();
}

function readAttributes(text: string): Record<string, string | undefined> {
  return Object.fromEntries(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]));
}

function toBadAnswer(): KafkaConnectionError {
  return new KafkaConnectionError('SASL authentication failed: the server does not prove that it knows the password');
}
