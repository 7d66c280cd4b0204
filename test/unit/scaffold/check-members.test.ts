import { describe, expect, test } from 'vitest';
import { parseCheckMembers } from '../../../scaffold/check-members.ts';

// Definitions as pg_get_constraintdef prints them.
describe('a constraint that names its values', () => {
  test.each([
    ["CHECK ((status = ANY (ARRAY['a'::text, 'b'::text])))", 'status', ['a', 'b']],
    [
      "CHECK (((status)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))",
      'status',
      ['a', 'b'],
    ],
    [
      "CHECK (((status)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))",
      'status',
      ['a', 'b'],
    ],
    ["CHECK ((code = ANY (ARRAY['x'::bpchar, 'y'::bpchar])))", 'code', ['x', 'y']],
    ["CHECK ((status = 'only'::text))", 'status', ['only']],
    ["CHECK (((status IS NULL) OR (status = ANY (ARRAY['a'::text]))))", 'status', ['a']],
    ["CHECK (((status = 'a'::text) OR (status = 'b'::text)))", 'status', ['a', 'b']],
    ["CHECK ((status = ANY (ARRAY['a'::text, 'a'::text]))) NO INHERIT", 'status', ['a']],
    ["CHECK ((VALUE = ANY (ARRAY['a'::text])))", 'VALUE', ['a']],
    [
      `CHECK (("Odd ""Name" = ANY (ARRAY['it''s'::text, E'back\\\\slash'::text, ''::text])))`,
      'Odd "Name',
      ["it's", 'back\\slash', ''],
    ],
    [`CHECK (("OR" = ANY (ARRAY['OR'::text])))`, 'OR', ['OR']],
    ["CHECK ((mood = ANY (ARRAY['ok'::public.mood, 'sad'::public.mood])))", 'mood', ['ok', 'sad']],
    ['CHECK ((level = ANY (ARRAY[1, 2, 3])))', 'level', ['1', '2', '3']],
    ["CHECK ((level = ANY (ARRAY[(1)::bigint, '-2'::integer])))", 'level', ['1', '-2']],
  ])('%s', (definition, column, members) => {
    expect(parseCheckMembers(definition)).toMatchObject({ column, members });
  });
});

describe('a constraint that leaves more than it names', () => {
  test.each([
    // Compared with NULL, every value passes.
    "CHECK ((status = ANY (ARRAY['a'::text, NULL::text])))",
    "CHECK (((status = ANY (ARRAY['a'::text])) OR (other > 3)))",
    "CHECK (((status = 'a'::text) OR (other = 'b'::text)))",
    "CHECK (((status = 'a'::text) AND (other = 'b'::text)))",
    "CHECK ((NOT (status = ANY (ARRAY['a'::text]))))",
    "CHECK ((status <> ALL (ARRAY['a'::text])))",
    "CHECK ((lower(status) = ANY (ARRAY['a'::text])))",
    "CHECK (((status || other) = ANY (ARRAY['a'::text])))",
    "CHECK ((status ~ 'a|b'::text))",
    "CHECK ((status = ANY ('{a,b}'::text[])))",
    "CHECK (((status)::character varying(1) = ANY (ARRAY['a'::text])) AND true)",
    "CHECK ((status = 'abc'::character varying(2)))",
    'CHECK ((price = ANY (ARRAY[1.5, 2.5])))',
    'CHECK ((amount > 0))',
    'CHECK ((status IS NULL))',
    "CHECK ((status = ANY (ARRAY['a'::text]))) NOT VALID",
    'CHECK (true)',
    '',
    "CHECK ((status = 'a",
  ])('%s', (definition) => {
    expect(parseCheckMembers(definition)).toBeNull();
  });
});
