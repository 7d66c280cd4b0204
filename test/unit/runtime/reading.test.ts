import { describe, expect, it } from 'vitest';
import { errorCodes } from '../../../runtime/error-codes.ts';
import { CrosswalkError } from '../../../runtime/errors.ts';
import { readWithin } from '../../../runtime/reading.ts';

describe('readWithin', () => {
  it('answers with what was read', async () => {
    expect(await readWithin(1000, 'database', async () => ({ rows: 1 }))).toEqual({ state: 'up', rows: 1 });
  });

  it('goes on without a server that does not answer, and raises the signal', async () => {
    let signal: AbortSignal | null = null;
    const reading = await readWithin(20, 'database', (given) => {
      signal = given;
      return new Promise<object>(() => undefined);
    });
    expect(reading).toMatchObject({ state: 'down', problem: 'database: no answer within 0.02 s' });
    expect(signal!).toMatchObject({ aborted: true });
  });

  it('tells a server that is down from one that refuses', async () => {
    const down = await readWithin(1000, 'database', async () => {
      throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    });
    expect(down).toMatchObject({ state: 'down', problem: 'database: connect ECONNREFUSED' });
    const refused = await readWithin(1000, 'database', async () => {
      throw new CrosswalkError('auth_failed', 'wrong password');
    });
    expect(refused).toEqual({ state: 'refused', problem: 'wrong password', remedy: errorCodes.auth_failed.remedy });
  });
});
