// What a fold needs of many contributions: from the front of a merge key it yields what it yields from all of them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { subscribersAggregate } from '../../../pipelines/crm/projections/campaigns/subscriber-fold.ts';
import { dncAggregate } from '../../../pipelines/crm/projections/contacts/dnc-fold.ts';
import { ordersAggregate } from '../../../pipelines/crm/projections/orders/order-fold.ts';
import { customersAggregate } from '../../../pipelines/crm/projections/quotes/customer-fold.ts';
import { createRandom } from '../../../pipelines/crm/sample/random.ts';
import type { Aggregate, Cell, Contribution, FoldedRow } from '../../../projectors/projection.ts';
import type { ReadContribution, Reserves, StoredContribution } from '../../../projectors/write/contributions.ts';
import { createPartFolds, rowsThatGo } from '../../../projectors/write/fold-keys.ts';
import { choose, nameOf } from '../../../projectors/write/front.ts';
import { type Folding, KeyFront, placeAll } from '../../../projectors/write/key-front.ts';
import { someTime } from '../projections/contributions.ts';

const seed = process.env.CROSSWALK_SEED ?? String(Date.now());

type Folded = ReturnType<Aggregate['fold']>;
type Data = Readonly<Record<string, Cell>>;

const maybe = fc.constantFrom(null, '', ' ', 'x', 'y');
const quoteData: fc.Arbitrary<Data> = fc.record({
  ...{ tenant_id: fc.constant('t'), name: maybe, email: maybe, phone: maybe, address: maybe },
  placeholders: fc.constantFrom(null, 'name', 'email phone'),
  normalised_address: fc.constantFrom('', 'x', 'y', 'z'),
  source_metadata: fc.constantFrom(null, null, null, '{"a": "1"}'),
  ...{ created_at: fc.option(someTime), updated_at: fc.option(someTime) },
});
const contactData: fc.Arbitrary<Data> = fc.record({
  opted_out: fc.constantFrom('t', 'f', null),
  opted_out_at: fc.option(someTime),
  identity: fc.constantFrom('i', 'j'),
  ...{ created_at: fc.option(someTime), updated_at: fc.option(someTime) },
});

const subscriberData: fc.Arbitrary<Data> = fc.oneof(
  fc.record({ tenant_id: fc.constantFrom('s', 't') }),
  fc.record({ campaign_id: fc.constant('k'), contact_id: fc.uuid(), status: maybe }),
);
const orderData: fc.Arbitrary<Data> = fc.oneof(
  fc.record({ tenant_id: fc.constantFrom('s', 't') }),
  fc.record({
    ...{ legacy_id: fc.uuid(), contact_id: fc.constant('k'), updated_at: fc.option(someTime) },
    ...{ items: fc.option(fc.uuid().map((id) => JSON.stringify([{ id, sku: 'S' }]))), rejects: fc.constant(null) },
  }),
);

/** Rows without what they are folded from. */
const rowsOf = (rows: readonly FoldedRow[] | undefined) => rows?.map(({ row, deletedAt }) => ({ row, deletedAt }));
const byId = (rows: readonly FoldedRow[] | undefined) => new Map(rowsOf(rows)?.map((each) => [each.row.id, each]));

describe.each([
  ['customers', customersAggregate, quoteData],
  ['do-not-call entries', dncAggregate, contactData],
  ['subscribers', subscribersAggregate, subscriberData],
  ['orders', ordersAggregate, orderData],
] as const)('%s', (_, aggregate: Aggregate, data) => {
  const one: fc.Arbitrary<Contribution> = fc.record({
    ...{ legacyTable: fc.constantFrom('quotes', 'others'), legacyKey: fc.constantFrom(...'abcdefghijkl') },
    ...{ live: fc.boolean(), movedTo: fc.constantFrom(null, 'x'), committedAt: someTime, data },
  });
  const some = fc.uniqueArray(one, { minLength: 1, maxLength: 20, selector: nameOf });
  const { whole, parts } = aggregate.needs!;

  it('are the same from what is chosen, with any others', () => {
    fc.assert(
      fc.property(some, fc.func(fc.boolean()), (contributions, isKept) => {
        const chosen = choose(whole, contributions);
        const known = new Set(contributions.filter((each) => chosen.has(each) || isKept(nameOf(each))));
        const named = new Set([...known].map((each) => parts?.of(each) ?? null));
        for (const part of named) {
          if (part === null) continue;
          const ofPart = contributions.filter((each) => parts!.of(each) === part);
          for (const each of choose(parts!.choices, ofPart)) known.add(each);
        }
        const [all, few] = [aggregate.fold('k', contributions), aggregate.fold('k', [...known])];
        for (const { table, key } of aggregate.targets) {
          if (key === 'id') expect(rowsOf(few[table])).toEqual(rowsOf(all[table]));
          else expect(byId(all[table])).toEqual(new Map([...byId(all[table]), ...byId(few[table])]));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are chosen alike in any batches', () => {
    fc.assert(
      fc.property(some, fc.nat(20), (contributions, at) => {
        const first = choose(whole, contributions.slice(0, at));
        const names = (chosen: Set<Contribution>) => [...chosen].map(nameOf).sort();
        expect(names(choose(whole, [...contributions.slice(at), ...first]))).toEqual(
          names(choose(whole, contributions)),
        );
      }),
    );
  });
});

/** Rows that are live, by id: what became of others depends on batches. */
const liveOf = (rows: ReadonlyMap<unknown, { readonly deletedAt: Cell }>) =>
  [...rows].filter(([, { deletedAt }]) => deletedAt === null).toSorted();

/** So that a reserve is made, used and used up within a few batches. */
const SMALL = { slack: 5, reserve: 8, reservePerChange: 2, few: 15 };

/** Contributions of one merge key as a database keeps them, and the rows that were folded from their fronts. */
function createKey(aggregate: Folding) {
  const stored = new Map<string, ReadContribution>();
  const rows = new Map<string, ReturnType<typeof byId>>();
  let reserves: Reserves = {};
  const place = (places: readonly (readonly [StoredContribution, ReadContribution['place']])[]) => {
    for (const [each, to] of places) stored.set(nameOf(each), { ...stored.get(nameOf(each))!, place: to });
  };
  const show = (folded: Folded, before: Folded) => {
    for (const { table } of aggregate.targets) {
      const shown = new Map([...(rows.get(table) ?? []), ...byId(folded[table])]);
      for (const { id } of rowsThatGo({ rows: folded, before }, table)) shown.delete(id);
      rows.set(table, shown);
    }
  };
  const copies = (wanted: (each: ReadContribution) => boolean) =>
    [...stored.values()].filter(wanted).map((each) => ({ ...each }));
  return {
    rows,
    all: () => [...stored.values()],
    begin(contributions: readonly ReadContribution[]) {
      for (const each of contributions) stored.set(nameOf(each), each);
      place(placeAll(aggregate, contributions));
      show(aggregate.fold('k', contributions), {});
    },
    /** As `foldKeys` does. Returns how many contributions were looked through. */
    change(changed: readonly StoredContribution[]): number {
      const names = new Set(changed.map(nameOf));
      const kept = {
        front: copies(({ place: { rank } }) => rank === 0),
        earlier: copies((each) => names.has(nameOf(each))),
      };
      const front = new KeyFront(aggregate, 'k', { ...kept, reserves }, changed, SMALL);
      const addParts = () => {
        const wanted = new Set(front.partsToRead());
        front.addParts(copies(({ place: { part, partRank } }) => partRank === 0 && wanted.has(part!)));
      };
      addParts();
      for (const each of front.judge()) stored.set(nameOf(each), { ...each, place: each.place! });
      let looked = 0;
      for (const [name, extent] of front.extents()) {
        const some = copies(({ live, place: { rank, part, partRank } }) => {
          if (name !== '' && part !== name) return false;
          return extent === 'all' || (live && (extent === 'live' || (name === '' ? rank : partRank) < 2));
        });
        looked += some.length;
        for (let at = 0; at < some.length; at += 7) front.addAll(some.slice(at, at + 7), name);
      }
      addParts();
      const settled = front.settle();
      place(settled.places);
      reserves = JSON.parse(JSON.stringify(settled.reserves));
      show(aggregate.fold('k', front.after()), aggregate.fold('k', front.before()));
      if (!front.concernsAllParts()) return looked;
      const parts = copies(({ place: { part, partRank } }) => part !== null && partRank === 0).toSorted((a, b) =>
        a.place.part! < b.place.part! ? -1 : 1,
      );
      const { take, end } = createPartFolds(aggregate, front);
      for (let at = 0; at < parts.length; at += 7)
        for (const some of take(parts.slice(at, at + 7))) show(some.rows, some.before!);
      for (const some of end()) show(some.rows, some.before!);
      return looked + parts.length;
    },
    reserves: () => reserves,
  };
}

const time = (n: number) =>
  `2024-01-${String(1 + (n % 28)).padStart(2, '0')} 00:00:${String(n % 60).padStart(2, '0')}+00`;

describe('a merge key with many contributions', () => {
  it(`shows what all of them fold to, whatever changes in whatever batches, seed ${seed}`, () => {
    const random = createRandom(seed);
    const aggregate = customersAggregate as Folding;
    for (let round = 0; round < 60; round += 1) {
      const key = createKey(aggregate);
      const addresses = random.pick([1, 3, 40]);
      const make = (legacyKey: string, live: boolean): ReadContribution => ({
        ...{
          mergeKey: 'k',
          legacyTable: 'quotes',
          legacyKey,
          live,
          movedTo: live ? null : random.pick([null, 'x', 'y']),
        },
        committedAt: time(random.int(0, 1000)),
        ...{ lineage: { lsn: '0/1', xid: '1', committedAt: '' }, mappingVersion: '1' },
        data: {
          ...{ tenant_id: 't', name: random.pick([null, 'a', 'b']), email: random.pick([null, 'c', 'd']), phone: null },
          placeholders: random.pick([null, null, 'name email']),
          address: 'as written',
          normalised_address: random.pick(['', `at ${random.int(0, addresses)}`]),
          source_metadata: null,
          created_at: random.pick([null, time(random.int(0, 1000))]),
          updated_at: random.pick([null, time(random.int(0, 1000))]),
        },
        place: { rank: 2, part: null, partRank: 2 },
      });
      key.begin(Array.from({ length: 60 }, (_, n) => make(`q${n}`, true)));
      for (let batch = 0; batch < 40; batch += 1) {
        const size = random.pick([1, 1, 1, 3, 30]);
        const best = key.all().toSorted((a, b) => ((a.data.updated_at ?? '') < (b.data.updated_at ?? '') ? 1 : -1));
        const changed = Array.from({ length: size }, (_, n) => {
          const legacyKey = random.pick([`q${random.int(0, 100)}`, best[n % best.length]!.legacyKey]);
          return make(legacyKey, random.int(0, 3) > 0);
        });
        key.change([...new Map(changed.map((each) => [nameOf(each), each])).values()]);
        const wanted = aggregate.fold('k', key.all());
        for (const { table } of aggregate.targets)
          expect(liveOf(key.rows.get(table)!)).toEqual(liveOf(byId(wanted[table])));
      }
    }
  });

  it('does not look through all of them each time the best one goes', () => {
    const key = createKey(customersAggregate as Folding);
    const count = 400;
    const quoteAt = (n: number, live: boolean): ReadContribution => ({
      ...{ mergeKey: 'k', legacyTable: 'quotes', legacyKey: `q${1000 + n}`, live, movedTo: null },
      ...{ committedAt: time(0), lineage: { lsn: '0/1', xid: '1', committedAt: '' }, mappingVersion: '1' },
      data: {
        name: 'a',
        normalised_address: 'here',
        address: 'here',
        updated_at: `2024-01-01 00:00:00.${1000 + n}+00`,
      },
      place: { rank: 2, part: null, partRank: 2 },
    });
    key.begin(Array.from({ length: count }, (_, n) => quoteAt(n, true)));
    let looked = 0;
    for (let n = count - 1; n > 0; n -= 1) {
      looked += key.change([quoteAt(n, false)]);
      expect(key.rows.get('customers')!.get('k')!.row.updated_at).toBe(quoteAt(n - 1, true).data.updated_at);
    }
    // Through all that are left, of the customer and of the address, it would be 160,000.
    expect(looked).toBeLessThan(40_000);
  });

  it(`has what the whole says of all parts in the rows of every part, seed ${seed}`, () => {
    const random = createRandom(seed);
    const aggregate = subscribersAggregate as Folding;
    for (let round = 0; round < 30; round += 1) {
      const key = createKey(aggregate);
      const kept = { mergeKey: 'k', movedTo: null, committedAt: time(0), mappingVersion: '1' };
      const lineage = { lsn: '0/1', xid: '1', committedAt: '' };
      const place = { rank: 2, part: null, partRank: 2 } as const;
      const subscriber = (n: number, live: boolean): ReadContribution => ({
        ...{ ...kept, lineage, place, live, legacyTable: 'campaign_subscribers', legacyKey: `s${n}` },
        data: { campaign_id: 'k', contact_id: `c${n}`, status: random.pick(['a', 'b']) },
      });
      const teller = (live: boolean): ReadContribution => ({
        ...{ ...kept, lineage, place, live, legacyTable: 'campaigns', legacyKey: 'k' },
        data: { tenant_id: random.pick(['t', 'u', 'v']) },
      });
      key.begin([
        ...(random.chance(0.5) ? [teller(true)] : []),
        ...Array.from({ length: 60 }, (_, n) => subscriber(n, random.chance(0.9))),
      ]);
      for (let batch = 0; batch < 20; batch += 1) {
        const changed = Array.from({ length: random.pick([0, 1, 1, 20]) }, () => {
          return subscriber(random.int(0, 80), random.chance(0.7));
        });
        if (changed.length === 0 || random.chance(0.3)) changed.push(teller(random.chance(0.7)));
        const looked = key.change([...new Map(changed.map((each) => [nameOf(each), each])).values()]);
        const isTold = changed.some(({ legacyTable }) => legacyTable === 'campaigns');
        // A part that goes is looked through: one contribution each.
        if (!isTold) expect(looked).toBeLessThanOrEqual(changed.length);
        const wanted = byId(aggregate.fold('k', key.all()).campaign_subscribers);
        expect(liveOf(key.rows.get('campaign_subscribers')!)).toEqual(liveOf(wanted));
      }
    }
  });
});
