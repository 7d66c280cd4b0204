import { expect, test } from 'vitest';
import { toLimits } from '../../../cli/commands/gate.ts';

test('limits of a gate are wide at most, and never such that any state passes', () => {
  const widest = { maxLagSeconds: 3600, verifiedWithin: 7 * 86_400 };
  expect(toLimits(widest)).toEqual({ maxLagSeconds: 3600, verifiedWithinSeconds: 604_800 });
  for (const beyond of [{ maxLagSeconds: 3601 }, { verifiedWithin: 7 * 86_400 + 1 }])
    expect(() => toLimits({ ...widest, ...beyond })).toThrow(expect.objectContaining({ code: 'config_invalid' }));
});
