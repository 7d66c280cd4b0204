// Two legacy tables that feed one aggregate, whose fold leaves rows out: sign-ups name people and their phones, returns say that a phone was given back.
import {
  type Aggregate,
  type Contribution,
  defineProjection,
  type FoldedRow,
  type LegacyRow,
} from '../../projectors/projection.ts';
import { uuid5 } from '../../projectors/values/uuid5.ts';

/** The new tables, for the owner of the target. */
export const TWO_SOURCES_TARGET = `
  CREATE TABLE crm.people (id uuid PRIMARY KEY, tenant_id text NOT NULL, name text, deleted_at timestamptz);
  CREATE TABLE crm.phones (id uuid PRIMARY KEY, tenant_id text NOT NULL, person_id uuid NOT NULL REFERENCES crm.people (id) DEFERRABLE INITIALLY DEFERRED,
    phone text NOT NULL, deleted_at timestamptz);
  CREATE INDEX phones_person_idx ON crm.phones (person_id);
  SELECT crosswalk.adopt('crm.people', 1), crosswalk.adopt('crm.phones', 1);`;

/** The legacy tables. Their keys are the same texts. */
export const TWO_SOURCES_LEGACY = `
  CREATE TABLE public.signups (id text PRIMARY KEY, tenant text, person text NOT NULL, name text, phone text);
  CREATE TABLE public.returns (id text PRIMARY KEY, tenant text, person text NOT NULL, name text, phone text);`;

export const toPersonId = (person: string) => uuid5(`person:${person}`);
export const toPhoneId = (person: string, phone: string) => uuid5(`phone:${toPersonId(person)}|${phone}`);

function foldPerson(
  id: string,
  contributions: readonly Contribution[],
): Readonly<Record<string, readonly FoldedRow[]>> {
  const live = contributions.filter((contribution) => contribution.live);
  if (live.length === 0) return {};
  const names = live.flatMap(({ data }) => data.name ?? []).sort();
  const returned = new Set(live.filter(({ data }) => data.returned === 't').map(({ data }) => data.phone));
  const phones = Map.groupBy(
    live.filter(({ data }) => data.phone && !returned.has(data.phone)),
    ({ data }) => data.phone!,
  );
  return {
    people: [{ row: { id, tenant_id: 't', name: names.at(-1) ?? null }, deletedAt: null, from: live }],
    phones: [...phones].map(([phone, from]) => ({
      row: { id: uuid5(`phone:${id}|${phone}`), tenant_id: 't', person_id: id, phone },
      deletedAt: null,
      from,
    })),
  };
}

/** Every row that the fold does not yield is to be gone. */
export const people: Aggregate = {
  name: 'people',
  targets: [
    { table: 'people', columns: ['id', 'tenant_id', 'name'], key: 'id' },
    { table: 'phones', columns: ['id', 'tenant_id', 'person_id', 'phone'], key: 'person_id' },
  ],
  needsHistory: false,
  fold: foldPerson,
};

const feeding = (source: string, returned: 't' | 'f') =>
  defineProjection({
    name: source,
    version: `${source}-1`,
    source,
    tenant: { column: 'tenant' },
    requires: ['id', 'person'],
    reads: ['id', 'person', 'tenant', 'name', 'phone'],
    owned: [],
    aggregates: [people],
    map: ({ person, name = null, phone = null }) => ({
      rows: {},
      contributions: [
        { aggregate: people.name, mergeKey: toPersonId(person!), data: { tenant_id: 't', name, phone, returned } },
      ],
    }),
  });

export const signups = feeding('signups', 'f');
export const returns = feeding('returns', 't');
export const twoSources = [signups, returns];

/** A row of either table; columns left out are null. */
export const saying = (id: string, person: string, cells: { name?: string; phone?: string } = {}): LegacyRow => ({
  ...{ id, tenant: 't', person, name: null, phone: null },
  ...cells,
});
