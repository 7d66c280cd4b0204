import { describe, expect, it } from 'vitest';
import { quotes } from '../../../pipelines/crm/projections/quotes.ts';
import { createTenants } from '../../../pipelines/crm/tenants.ts';
import { expectedUuid } from '../values/expected-uuid.ts';
import { companyId, contributed, mapQuote, quoteId } from './mapped.ts';

const phone = '(415) 555-2732';
const withPlaceholders = createTenants({ tenants: { own: { placeholders: { mailboxes: ['info'] } } } });
const byQuote = `q:${quoteId}`;

describe('customer key: the first that applies', () => {
  it.each([
    [{ phone, email: 'a@b.co', customer_name: 'Ada', address: '1 Main' }, 'p:+14155552732'],
    [{ phone: '999-999-9999', email: ' A@B.Co\u00a0' }, 'e:a@b.co'],
    [{ phone: `${phone} x12`, email: 'a@b.co' }, 'e:a@b.co'],
    [{ phone: '', email: 'Σ@İ.gr' }, 'e:σ@i.gr'],
    [{ email: 'a@@b.co', customer_name: ' Ada  L ', address: '1, Main St.' }, 'n:ada l|1 main st'],
    [{ customer_name: 'Walk-in', address: '1 Main' }, byQuote],
    [{ customer_name: 'Ada', address: ' .- ' }, byQuote],
    [{ customer_name: ' ', address: '1 Main' }, byQuote],
    [{}, byQuote],
  ])('%j', (cells, expected) => expect(contributed(mapQuote(cells)).customer_key).toBe(expected));

  it.each(['a@b.c', 'a@b.c.d', 'a@.b.c', 'a@b..', 'a.b+c@d-e.f', 'nonesuch@b.c', '"@b.c'])(
    'email %s identifies',
    (email) => expect(contributed(mapQuote({ email })).customer_key).toBe(`e:${email}`),
  );

  it.each([
    ...['a', 'a@b', '@b.c', 'a@.c', 'a@b.', 'a@.', 'a b@c.d', 'a@b\u00a0.c', 'a@b.c@d.e', ' '],
    ...[
      'none@b.c',
      'NoReply@b.c',
      'no-reply@b.c',
      'test@b.c',
      'na@b.c',
      'n/a@b.c',
      'NO@b.c',
      'noemail@b.c',
      'no-email@b.c',
    ],
    ...['nomail@b.c', 'unknown@b.c', 'x@b.c', 'asdf@b.c'],
  ])('email %j does not', (email) => expect(contributed(mapQuote({ email })).customer_key).toBe(byQuote));

  it.each(['walk-in', 'WALK IN', 'Unknown', 'N/A', 'none', 'Test', ' cash ', 'customer', 'Ｃａｓｈ', 'walk\t in'])(
    'name %j identifies nobody',
    (name) => expect(contributed(mapQuote({ customer_name: name, address: '1 Main' })).customer_key).toBe(byQuote),
  );

  it('follows the placeholders of the tenant', () => {
    const key = (company_id: string, cells: Record<string, string>) =>
      contributed(quotes.map({ id: quoteId, company_id, ...cells }, withPlaceholders)).customer_key;
    expect(key('own', { email: 'info@b.c' })).toBe(byQuote);
    expect(key('own', { email: 'test@b.c' })).toBe('e:test@b.c');
    expect(key('own', { customer_name: 'Test', address: '1 Main' })).toBe(byQuote);
    expect(key('other', { email: 'info@b.c' })).toBe('e:info@b.c');
    expect(key('other', { email: 'test@b.c' })).toBe(byQuote);
  });

  it.each([
    '123-456-7890',
    '(123) 123-1234',
    '000-000-0001',
    '555-123-4567',
    '030 1234567',
    '212-212-2121',
    '234-567-8901',
  ])('phone %s identifies nobody', (given) =>
    expect(contributed(mapQuote({ phone: given })).customer_key).toBe(byQuote),
  );

  it('reads phones in the tenant’s country', () => {
    expect(contributed(mapQuote({ company_id: 'berlin', phone: '030 123467' })).customer_key).toBe('p:+4930123467');
  });

  it('is kept apart by tenant', () => {
    const mergeKeys = (cells: Record<string, string | null>) => mapQuote(cells).contributions[0]!.mergeKey;
    expect(mergeKeys({ phone })).toBe(expectedUuid(`customer:${companyId}|p:+14155552732`));
    expect(mergeKeys({ phone, company_id: null })).toBe(expectedUuid('customer:unassigned|p:+14155552732'));
  });
});

describe('what a quote contributes to its customer', () => {
  it('is everything that the fold needs', () => {
    const cells = {
      ...{ phone, customer_name: ' Ada', email: 'A@b.co', address: '1, Main St.' },
      ...{ created_at: '2024-01-01 00:00:00+00', updated_at: '2024-01-02 00:00:00+00' },
    };
    expect(contributed(mapQuote(cells))).toEqual({
      ...{ tenant_id: companyId, company_id: companyId, customer_key: 'p:+14155552732', phone_e164: '+14155552732' },
      ...{ name: ' Ada', email: 'A@b.co', phone, address: '1, Main St.', normalised_address: '1 main st' },
      ...{ created_at: '2024-01-01 00:00:00+00', updated_at: '2024-01-02 00:00:00+00' },
      placeholders: null,
      source_metadata:
        `{"email": "A@b.co", "phone": "${phone}", "address": "1, Main St.", "created_at": "${cells.created_at}", ` +
        `"updated_at": "${cells.updated_at}", "customer_name": " Ada"}`,
    });
  });

  it.each([
    [{ customer_name: 'Walk-in', email: 'x@b.c', phone: '000-000-0000' }, 'name email phone'],
    [{ customer_name: 'Ada', email: 'call me', phone: 'n/a' }, 'email phone'],
    [{ customer_name: 'Ada', email: 'a@b.c', phone: '12345' }, null],
    [{ customer_name: ' ', email: null, phone: '' }, null],
    [{ customer_name: 'Ada', email: 'a@b.c', phone: '(415) 555-2732' }, null],
  ])('says what of %j tells nothing about a person', (cells, expected) =>
    expect(contributed(mapQuote(cells)).placeholders).toBe(expected),
  );

  it('has a tenant even where the quote names none', () => {
    expect(contributed(mapQuote({ company_id: null }))).toMatchObject({ tenant_id: 'unassigned', company_id: null });
  });
});
