import { describe, expect, it } from 'vitest';
import config from '../../../pipelines/crm/tenants.json' with { type: 'json' };
import { createTenants } from '../../../pipelines/crm/tenants.ts';

describe('tenant settings', () => {
  it('of the pinned configuration', () => {
    expect(createTenants(config)('anyone')).toMatchObject({ country: 'US', userId: '1', chatbotId: '1' });
  });

  it('default to US, 1 and 1', () => {
    expect(createTenants({})('constructor')).toMatchObject({ country: 'US', userId: '1', chatbotId: '1' });
  });

  it('are a tenant’s own, and else the default’s', () => {
    const tenants = createTenants({
      default: { country: 'GB', userId: '2' },
      tenants: { acme: { country: 'DE', chatbotId: '7' }, empty: {} },
    });
    expect(tenants('acme')).toMatchObject({ country: 'DE', userId: '2', chatbotId: '7' });
    expect(tenants('empty')).toMatchObject({ country: 'GB', userId: '2', chatbotId: '1' });
    expect(tenants('other')).toMatchObject({ country: 'GB', userId: '2', chatbotId: '1' });
  });

  it('have placeholders of their own, list by list', () => {
    const tenants = createTenants({ tenants: { acme: { placeholders: { mailboxes: ['info'] } } } });
    expect([...tenants('acme').placeholders.mailboxes]).toEqual(['info']);
    expect(tenants('acme').placeholders.names).toBe(tenants('other').placeholders.names);
    expect([...tenants('other').placeholders.names]).toContain('walk-in');
    expect([...tenants('other').placeholders.mailboxes]).toEqual(
      expect.arrayContaining(['none', 'noreply', 'test', 'na', 'n/a', 'no', 'noemail', 'unknown', 'x', 'asdf']),
    );
  });

  it.each([
    [null, 'tenant configuration must be an object'],
    [[], 'tenant configuration must be an object'],
    [{ tenant: {} }, 'unknown key "tenant"'],
    [{ tenants: [] }, 'tenants must be an object'],
    [{ tenants: { acme: 'DE' } }, 'tenants.acme must be an object'],
    [{ tenants: { acme: { country: 'XX' } } }, 'tenants.acme.country'],
    [{ tenants: { acme: { userId: 2 } } }, 'tenants.acme.userId'],
    [{ tenants: { acme: { chatbotId: '0' } } }, 'tenants.acme.chatbotId'],
    [{ default: { placeholders: { mailbox: [] } } }, 'default.placeholders: unknown key "mailbox"'],
    [{ default: { placeholders: { names: ['Test'] } } }, 'default.placeholders.names must be a list of texts'],
    [{ default: { county: 'US' } }, 'default: unknown key "county"'],
  ])('of %j are refused', (faulty, message) => expect(() => createTenants(faulty)).toThrow(message));
});
