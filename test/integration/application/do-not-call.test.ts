// crm.is_on_dnc_list: whoever is listed is found in every spelling of the number, and nobody else is.

import {
  type CountryCode,
  getCountries,
  getExampleNumber,
  type PhoneNumber,
  parsePhoneNumberFromString,
} from 'libphonenumber-js/max';
import examples from 'libphonenumber-js/mobile/examples';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import { connect } from '../../../runtime/postgres.ts';
import { createLogin } from '../../support/application-login.ts';
import { createDatabases } from '../../support/stack.ts';
import { setStage } from '../../support/stages.ts';
import { openTarget } from '../../support/target-database.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());
console.log(`CROSSWALK_SEED=${seed}`);

let databases: Awaited<ReturnType<typeof createDatabases>>;
let owner: pg.Client;
let next = 0;

beforeAll(async () => {
  databases = await createDatabases('do_not_call');
  owner = await openTarget(databases.targetUrl);
});
afterAll(async () => {
  await owner?.end();
  await databases?.drop();
});

/** A tenant whose list holds these, and nothing else. */
async function tenantWith(
  entries: readonly { identity: string; kind: 'phone' | 'digits' | 'email' }[],
  country: string | null = null,
): Promise<string> {
  const tenant = `tenant-${++next}`;
  if (country !== null)
    await owner.query('INSERT INTO crm.tenants (id, tenant_id, country) VALUES ($1, $1, $2)', [tenant, country]);
  for (const { identity, kind } of entries)
    await owner.query('INSERT INTO crm.dnc_list (tenant_id, identity, identity_kind) VALUES ($1, $2, $3)', [
      tenant,
      identity,
      kind,
    ]);
  return tenant;
}

/** What is answered other than `expected`, spelling by spelling. */
async function answersBut(expected: boolean, tenant: string, asked: readonly string[]): Promise<string[]> {
  const { rows } = await owner.query<{ asked: string }>(
    `SELECT asked FROM unnest($2::text[]) asked WHERE crm.is_on_dnc_list(asked, $1) IS DISTINCT FROM $3::boolean`,
    [tenant, asked, expected],
  );
  return rows.map((row) => row.asked);
}

describe('a listed number', () => {
  it.each<[string, readonly string[], readonly string[]]>([
    [
      '+12065550010',
      [
        ...['+12065550010', '(206) 555-0010', '2065550010', '1 206 555 0010', '0012065550010', '011 1 206 555 0010'],
        ...[
          '206.555.0010 x12',
          '(206) 555-0010 ext. 12',
          '206-555-0010#12',
          'tel:+1-206-555-0010;ext=12',
          '+1 (206) 555-0010;isub=1',
        ],
        ...[
          'tel:555-0010;phone-context=+1-206',
          'sip:+12065550010@example.org',
          'Call 206 555 0010',
          ' +1\u00a0206\u2011555\u20110010 ',
        ],
        ...[
          '２０６５５５００１０',
          '＋１２０６５５５００１０',
          '٢٠٦٥٥٥٠٠١٠',
          '۲۰۶۵۵۵۰۰۱۰',
          '0011 1 206 555 0010',
          '+00 1 206 555 0010',
          '555-0010',
        ],
      ],
      [
        '(206) 555-0011',
        '+12065550011',
        '425 555 0010',
        '+44 2065550010',
        '1 206 555 0019',
        '206 555 001',
        '0',
        '+',
        'nobody',
        '2065550010@example.org',
      ],
    ],
    [
      '+4930123456',
      [
        '030 123456',
        '0049 30 123456',
        '49 30 123456',
        '+49 (0)30 123456',
        '+49 ( 0 ) 30 123456',
        '+49 030 123456',
        '(0)30 123456',
        '30123456',
        '011 49 30 123456',
      ],
      ['030 123457', '030 1234561', '030 30123456', '+49 30 12345', '040 123456', '+43 30 123456', '0043 30 123456'],
    ],
    [
      '+79161234567',
      [
        '8 916 123-45-67',
        '8 (916) 123-45-67',
        '+7 916 1234567',
        '7 916 1234567',
        '916 1234567',
        '8~10 7 916 1234567',
        '+7 8 916 1234567',
      ],
      ['8 916 123-45-68', '8 926 123 45 67'],
    ],
    [
      '+390612345678',
      ['06 1234 5678', '+39 06 1234 5678', '+39 (0)6 12345678', '0039 06 12345678'],
      ['06 1234 5679', '02 12345678'],
    ],
    [
      '+3612345678',
      ['06 1 234 5678', '(06 1) 234-5678', '+36 1 234 5678', '0036 1 234 5678', '1 234 5678'],
      ['06 1 234 5679', '06 30 234 5678'],
    ],
    ['+6834000', ['4000', '+683 4000', '00683 4000'], ['4001', '+683 4001', '+68 3400']],
    ['+5491123456789', ['011 15-2345-6789', '+54 9 11 2345-6789', '0054 9 11 2345 6789'], ['011 15-2345-6780']],
    [
      '+5511987654321',
      ['(11) 98765-4321', '0 15 11 98765-4321', '011 98765-4321', '+55 11 98765-4321'],
      ['(11) 98765-4320', '(21) 98765-4321'],
    ],
  ])('%s is found however it is written, and no other one is', async (listed, spellings, others) => {
    const tenant = await tenantWith([{ identity: listed, kind: 'phone' }]);
    expect(await answersBut(true, tenant, spellings)).toEqual([]);
    expect(await answersBut(false, tenant, others)).toEqual([]);
    // Of another organisation.
    expect(await answersBut(false, await tenantWith([]), spellings)).toEqual([]);
  });

  it.each<[string, readonly string[], readonly string[]]>([
    ...['2065550010', '12065550010', '0012065550010', '01112065550010'].map(
      (digits) =>
        [
          digits,
          [
            '(206) 555-0010',
            '2065550010',
            '+12065550010',
            '1 206 555 0010',
            '0012065550010',
            '00 1 206 555-0010',
            '555-0010',
          ],
          ['(206) 555-0011', '+12065550011', '0012065550011', '425 555 0010'],
        ] as [string, string[], string[]],
    ),
    // With an extension: the number alone, and with it.
    [
      '206555001012',
      ['(206) 555-0010', '+1 206 555 0010', '(206) 555-0010 x12', '+12065550010;ext=12', '206555001012'],
      ['(206) 555-0011', '+1 206 555 0011'],
    ],
    ['1206555001012', ['(206) 555-0010', '+1 206 555 0010', '1 206 555 0010'], ['(206) 555-0011']],
    ['89161234567', ['8 916 123 45 67', '+7 916 123 45 67', '7 916 1234567'], ['8 916 123 45 68', '+7 916 123 45 68']],
    ['12345', ['123-45', '012345', '1 23 45'], ['123-46', '2345', '99912345']],
    ['0000000000', ['000-000-0000', '0000000000'], ['000-000-0001']],
  ])('%s, which is no valid one, is found as well', async (listed, spellings, others) => {
    const tenant = await tenantWith([{ identity: listed, kind: 'digits' }]);
    expect(await answersBut(true, tenant, spellings)).toEqual([]);
    expect(await answersBut(false, tenant, others)).toEqual([]);
  });

  it('is looked for by the plan of the country of its tenant where nothing else tells it', async () => {
    const listed = [{ identity: '06301234567', kind: 'digits' }] as const;
    expect(await answersBut(true, await tenantWith(listed, 'HU'), ['30 123 4567', '+36 30 123 4567'])).toEqual([]);
    const german = [{ identity: '+4930123456', kind: 'phone' }] as const;
    expect(await answersBut(true, await tenantWith(german, 'de'), ['123456'])).toEqual([]);
    expect(await answersBut(false, await tenantWith(german, 'US'), ['123456'])).toEqual([]);
  });

  it('counts while the entry is alive and has not expired', async () => {
    const tenant = await tenantWith([{ identity: '+12065550010', kind: 'phone' }]);
    const set = (sql: string) => owner.query(`UPDATE crm.dnc_list SET ${sql} WHERE tenant_id = $1`, [tenant]);
    await set(`expires_at = now() - interval '1 second'`);
    expect(await answersBut(false, tenant, ['2065550010'])).toEqual([]);
    await set(`expires_at = now() + interval '1 hour'`);
    expect(await answersBut(true, tenant, ['2065550010'])).toEqual([]);
    await set(`deleted_at = now()`);
    expect(await answersBut(false, tenant, ['2065550010'])).toEqual([]);
  });
});

it('an e-mail is found whatever its case and the white space around it', async () => {
  const tenant = await tenantWith([
    { identity: 'bob@example.org', kind: 'email' },
    { identity: 'josé@example.org', kind: 'email' },
    { identity: 'none', kind: 'email' },
  ]);
  const found = [
    'bob@example.org',
    ' Bob@Example.ORG\t',
    '\u00a0BOB@example.org',
    'mailto:bob@example.org',
    'JOSÉ@EXAMPLE.org',
    'None',
  ];
  expect(await answersBut(true, tenant, found)).toEqual([]);
  expect(
    await answersBut(false, tenant, ['rob@example.org', 'bob@example.com', 'bob', 'no', 'bob@example.org.uk']),
  ).toEqual([]);
});

it('where nothing is asked, nothing is answered', async () => {
  const tenant = await tenantWith([{ identity: '+12065550010', kind: 'phone' }]);
  const { rows } = await owner.query<{ n: string }>(
    `SELECT count(*) AS n FROM (VALUES (NULL, $1), ('', $1), (' ', $1), (E'\\t\\n\\u00a0', $1), ('2065550010', NULL), ('2065550010', ''), ('2065550010', ' ')) AS v (phone, organisation)
     WHERE crm.is_on_dnc_list(phone, organisation) IS NULL`,
    [tenant],
  );
  expect(rows).toEqual([{ n: '7' }]);
});

/** Spellings of a number by the library's formatters, and by people. */
function spellingsOf(phone: PhoneNumber): string[] {
  const national = phone.formatNational();
  const digits = national.replaceAll(/[^0-9]/g, '');
  const { countryCallingCode: code, nationalNumber } = phone;
  const international = phone.formatInternational();
  return [
    ...[
      phone.number,
      national,
      international,
      phone.getURI(),
      digits,
      national.replaceAll(' ', '-'),
      international.replaceAll(' ', '.'),
    ],
    ...[
      nationalNumber,
      `${code}${nationalNumber}`,
      `00${code} ${nationalNumber}`,
      `011 ${code} ${nationalNumber}`,
      `+${code}-${nationalNumber}`,
    ],
    ...[`tel:+${code}-${nationalNumber};ext=7`, `${national} ext. 7`, `${international} x7`],
    ...(digits === `0${nationalNumber}` ? [`+${code} (0)${nationalNumber}`, `00${code} 0${nationalNumber}`] : []),
    phone.format('IDD', { fromCountry: 'US' }),
    phone.format('IDD', { fromCountry: 'AU' }),
  ].filter((spelling) => spelling !== '');
}

it.each(getCountries().map((country) => [country]))(
  'a random number of %s is found as the library writes it',
  async (country: CountryCode) => {
    const random = createRandom(`${seed} ${country}`);
    const example = getExampleNumber(country, examples)!;
    const numbers = Array.from({ length: 3 }, () => {
      const kept = example.number.slice(0, -4);
      const varied = parsePhoneNumberFromString(`${kept}${String(random.int(0, 9999)).padStart(4, '0')}`);
      return varied?.isPossible() ? varied : example;
    });
    for (const phone of numbers) {
      const tenant = await tenantWith([{ identity: phone.number, kind: 'phone' }]);
      expect(await answersBut(true, tenant, spellingsOf(phone)), phone.number).toEqual([]);
      const last = (Number(phone.number.at(-1)) + random.int(1, 9)) % 10;
      const other = parsePhoneNumberFromString(`${phone.number.slice(0, -1)}${last}`)!;
      expect(await answersBut(false, tenant, spellingsOf(other)), other.number).toEqual([]);
      // The same as digits that are no number, as the legacy row spelled them.
      const digits = random.pick([phone.nationalNumber, phone.number.slice(1), `00${phone.number.slice(1)}`]);
      if (phone.nationalNumber.length < 7) continue;
      const listed = await tenantWith([{ identity: digits, kind: 'digits' }], country);
      const plain = [
        phone.number,
        phone.nationalNumber,
        `00${phone.number.slice(1)}`,
        phone.formatInternational(),
        phone.number.slice(1),
      ];
      expect(await answersBut(true, listed, plain), digits).toEqual([]);
    }
  },
);

it('an application asks about its own tenant alone, by whatever function', async () => {
  await setStage(owner, null, 4);
  const ours = await tenantWith([{ identity: '+12065550010', kind: 'phone' }]);
  const theirs = await tenantWith([{ identity: '+12065550010', kind: 'phone' }]);
  const login = await createLogin(owner, databases.targetUrl, 'crosswalk_app');
  const app = await connect(login.url, 'app');
  try {
    await app.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [ours]);
    const ask = async (name: string, tenant: string) =>
      (await app.query<{ listed: string | null }>(`SELECT crm.${name}('206 555 0010', $1) AS listed`, [tenant]))
        .rows[0]!.listed;
    expect([await ask('is_on_dnc_list', ours), await ask('is_on_dnc_list', theirs)]).toEqual(['t', 'f']);
    expect([await ask('dnc_list_holds', ours), await ask('dnc_list_holds', theirs)]).toEqual(['t', null]);
    // Who may not read the list is told so, and not that nobody is on it.
    const operator = await createLogin(owner, databases.targetUrl, 'crosswalk_operator');
    const other = await connect(operator.url, 'test');
    try {
      for (const tenant of ['', ours]) {
        await other.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [tenant]);
        await expect(other.query(`SELECT crm.is_on_dnc_list('206 555 0010', $1)`, [ours])).rejects.toMatchObject({
          code: '42501',
        });
      }
    } finally {
      await other.end();
      await operator.drop();
    }
    await setStage(owner, ours, 0);
    expect([await ask('is_on_dnc_list', ours), await ask('is_on_dnc_list', theirs)]).toEqual([null, null]);
    expect(await ask('dnc_list_holds', ours)).toBe(null);
  } finally {
    await app.end();
    await login.drop();
  }
});

it('a thousand checks against a hundred thousand entries take a moment', async () => {
  const tenant = await tenantWith([]);
  await setStage(owner, null, 4);
  await owner.query(
    `INSERT INTO crm.dnc_list (tenant_id, identity, identity_kind)
     SELECT $1, CASE WHEN n % 10 = 0 THEN 'p' || n || '@example.org' WHEN n % 100 = 1 THEN (2060000000 + n * 37)::text ELSE '+1' || (2060000000 + n * 37)::text END,
       CASE WHEN n % 10 = 0 THEN 'email' WHEN n % 100 = 1 THEN 'digits' ELSE 'phone' END FROM generate_series(1, 100000) n`,
    [tenant],
  );
  await owner.query('ANALYZE crm.dnc_list');
  const login = await createLogin(owner, databases.targetUrl, 'crosswalk_app');
  const app = await connect(login.url, 'app');
  try {
    await app.query(`SELECT set_config('crosswalk.tenant_id', $1, false)`, [tenant]);
    const spelled = `'(' || left(x, 3) || ') ' || substr(x, 4, 3) || '-' || right(x, 4)`;
    const asked = `(SELECT ${spelled} AS asked FROM (SELECT (2060000000 + n * 97 * 37 + n % 2)::text AS x FROM generate_series(1, 1000) n) v) w`;
    const took: Record<string, number> = {};
    const time = async (what: string, sql: string, values: readonly unknown[]) => {
      for (let attempt = 0; attempt < 5; attempt++) {
        const startedAtMs = performance.now();
        await app.query(sql, [...values]);
        took[what] = Math.min(took[what] ?? Number.POSITIVE_INFINITY, performance.now() - startedAtMs);
      }
    };
    const { rows } = await app.query<{ n: string }>(
      `SELECT count(*) FILTER (WHERE crm.is_on_dnc_list(asked, $1)) AS n FROM ${asked}`,
      [tenant],
    );
    expect(Number(rows[0]!.n)).toBeGreaterThanOrEqual(400);
    expect(Number(rows[0]!.n)).toBeLessThanOrEqual(500);
    await time('statement', `SELECT count(*) FILTER (WHERE crm.is_on_dnc_list(asked, $1)) AS n FROM ${asked}`, [
      tenant,
    ]);
    await time(
      'loop',
      `DO $$ DECLARE one text; BEGIN FOR one IN SELECT asked FROM ${asked} LOOP PERFORM crm.is_on_dnc_list(one, '${tenant}'); END LOOP; END $$`,
      [],
    );
    console.log(`1,000 checks: ${JSON.stringify(took)} ms`);
    // The machine may be busy: without an index it would be minutes.
    for (const ms of Object.values(took)) expect(ms).toBeLessThan(2000);
  } finally {
    await app.end();
    await login.drop();
  }
});
