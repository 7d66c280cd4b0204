import { describe, expect, it } from 'vitest';
import { toCrosswalkError } from '../../../runtime/errors.ts';
import { RegistryError } from '../../../schemas/avro/registry.ts';
import { isClosed, parseMode, parseUnknown, toRegistryRefusal } from '../../../schemas/avro/registry-refusal.ts';

const answer = (status: number, error_code?: number, message?: string) => ({ status, body: { error_code, message } });

// The modes of Confluent's registry: no server of the tests has them. Apicurio's 409 was taken from a real one.
describe('an answer that names a mode', () => {
  it.each([
    [answer(422, 42205, 'Subject a-value is in read-only mode'), 'READONLY'],
    [answer(422, 42205, 'Subject a-value is not in read-write mode, but in import mode'), 'IMPORT'],
    [answer(422, 42205, 'Operation not permitted'), 'other than READWRITE'],
    [answer(409, 0, 'Unsupported write operation. Storage is in read-only mode.'), 'READONLY'],
    [answer(409, 409, 'Incompatible artifact: a-value [AVRO]'), null],
    [answer(422, 42201, 'Input schema is an invalid Avro schema'), null],
    [answer(200), null],
    [{ status: 422, body: null }, null],
    [{ status: 409, body: 'read-only mode' }, null],
  ])('%j', (given, mode) => {
    expect(parseMode(given)).toBe(mode);
    if (mode === null) return;
    const refusal = toRegistryRefusal('register a schema', given);
    expect(refusal).toMatchObject({ retry: false, kind: 'permission_denied' });
    expect(refusal.message).toContain(mode);
    expect(refusal.remedy).toContain('READWRITE');
    expect(`${refusal.message} ${refusal.remedy}`).not.toMatch(/invalid|incompatible/i);
  });
  it('tells modes that take no schema from those that do', () => {
    const modes = ['READWRITE', 'READONLY', 'READONLY_OVERRIDE', 'IMPORT', 'FORWARD'];
    expect(modes.filter(isClosed)).toEqual(['READONLY', 'READONLY_OVERRIDE', 'IMPORT']);
  });
});

it('tells a subject that is unknown from a schema that is, and both from an address that is wrong', () => {
  expect(parseUnknown(answer(404, 40401))).toBe('subject');
  expect(parseUnknown(answer(404, 40403))).toBe('schema');
  expect(parseUnknown(answer(404))).toBe(null);
  expect(parseUnknown({ status: 404, body: null })).toBe(null);
  expect(parseUnknown(answer(500, 40401))).toBe(null);
});

describe('any other answer keeps its cause', () => {
  it.each([
    [
      answer(422, 42201, 'Input schema is an invalid Avro schema'),
      'schema_incompatible',
      /42201: Input schema is an inv/,
    ],
    [answer(422, 42209, 'Schema too large'), 'schema_incompatible', /42209: Schema too large/],
    [answer(401), 'permission_denied', /not allowed to register a schema \(HTTP 401\)/],
    [answer(403, 40301, 'User denied'), 'permission_denied', /403, 40301: User denied/],
    [{ status: 407, body: null }, 'permission_denied', /HTTP 407/],
    [answer(500, 50001, 'Error in the backend datastore'), 'server_down', /50001: Error in the backend/],
    [answer(503), 'server_down', /HTTP 503/],
    [answer(429), 'server_down', /HTTP 429/],
    [{ status: 404, body: null }, 'config_invalid', /HTTP 404/],
    // A page that asks for a login.
    [{ status: 200, body: null }, 'config_invalid', /HTTP 200/],
  ])('%j', (given, kind, message) => {
    const refusal = toRegistryRefusal('register a schema', given);
    expect(refusal).toMatchObject({ kind, message: expect.stringMatching(message), retry: kind === 'server_down' });
    const error = toCrosswalkError(new RegistryError(refusal), 'schema registry');
    expect(error).toMatchObject({ code: kind, remedy: refusal.remedy, waits: refusal.retry });
  });
  it('in one short line', () => {
    const { message } = toRegistryRefusal('x', answer(422, 42201, `${'long '.repeat(500)}\nsecond line`));
    expect(message.length).toBeLessThan(300);
    expect(message).not.toContain('\n');
  });
});
