import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uuid5 } from '../../../projectors/values/uuid5.ts';
import { expectedUuid } from './expected-uuid.ts';

describe('UUID v5 under the namespace of the project', () => {
  it.each([
    ['', 'fa45d43b-d73d-5ce2-8766-27474ee042ca'],
    ['job:11111111-1111-4111-8111-111111111111', 'f9039d6c-1ce2-555e-ba54-beba274a11cf'],
    ['customer:unassigned|n:ада|м 1', 'fa8f2b34-d3d9-5962-b1b6-9e7520ce8ef9'],
    ['lead:contact:22222222-2222-4222-8222-222222222222', '3fd38f8f-c53c-50b0-9860-1ee334e9104e'],
    ['\u{1f600}'.repeat(400), '278df679-80ff-5ac5-b494-8e501d879e46'],
  ])('of %.40j', (name, expected) => expect(uuid5(name)).toBe(expected));

  it('is that of the platform, whatever the name', { timeout: 30_000 }, () => {
    const name = fc.oneof(fc.string({ unit: 'binary', maxLength: 600 }), fc.string({ maxLength: 150 }));
    fc.assert(
      fc.property(name, (text) => {
        expect(uuid5(text)).toBe(expectedUuid(text));
      }),
    );
  });

  it('does not remember the name before', () => {
    const expected = uuid5('short');
    uuid5('x'.repeat(5000));
    uuid5('é'.repeat(300));
    expect(uuid5('short')).toBe(expected);
  });
});
