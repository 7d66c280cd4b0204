import { type Json, jsonbText, number } from '../json-text.ts';
import { createRandom } from '../random.ts';
import { kindOf, type Shares, without } from './proportions.ts';
import { type Planted, type Setting, sound } from './row.ts';

const SHARES = [
  ['none', 500],
  ['flat', 300],
  ['nested', 100],
  ['long number', 40],
  ['odd keys', 40],
  ['empty', 10],
  ['json null', 6],
  ['array', 2],
  ['string', 1],
  ['number', 1],
] as const satisfies Shares<string>;
const SOUND_SHARES = without(SHARES, ['array', 'string', 'number'], 'flat');

/** contacts.custom_fields: objects of any depth, and a few values that are not objects. */
export function customFields(setting: Setting, index: number): Planted<string | null> {
  const random = createRandom(`${setting.seed}/custom_fields/${index}`);
  const notAnObject = (value: Json): Planted<string> => ({
    value: jsonbText(value),
    flaws: [{ path: 'custom_fields', reason: 'not an object' }],
  });
  const flat: Record<string, Json> = {
    budget: number(random.int(100, 90_000)),
    rooms: String(random.int(1, 9)),
    vip: random.chance(0.2),
    referrer: random.pick(['Radio', 'a "friend"', 'İlan', '', '  ', null]),
  };
  switch (kindOf(setting.seed, 'custom_fields', index, setting.plantRejects ? SHARES : SOUND_SHARES)) {
    case 'none':
      return sound(null);
    case 'flat':
      return sound(jsonbText(flat));
    case 'nested':
      return sound(
        jsonbText({
          ...flat,
          pets: [{ kind: 'dog', age: number('3.50') }, null, [true, []]],
          home: { floors: number(2) },
        }),
      );
    case 'long number':
      return sound(
        jsonbText({
          account: number(`9${random.int(10_000, 99_999)}00112233445566778899123`),
          rate: number('0.100000000000000000000000000001'),
        }),
      );
    case 'odd keys':
      return sound(
        jsonbText({ '': 'empty key', 'a.b "c"': number('-0.50'), 'anahtar İ 🔑': 'değer\u00a0', custom: { '': null } }),
      );
    case 'empty':
      return sound('{}');
    case 'json null':
      return sound('null');
    case 'array':
      return notAnObject([flat, 'x']);
    case 'string':
      return notAnObject('{"budget": 5}');
    case 'number':
      return notAnObject(number(42));
  }
}
