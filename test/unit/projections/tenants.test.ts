import { describe, expect, it } from 'vitest';
import config from '../../../projectors/tenants.json' with { type: 'json' };
import { createTenants } from '../../../projectors/tenants.ts';

describe('tenant settings', () => {
  it('of the pinned configuration', () => {
    expect(createTenants(config)('anyone')).toEqual({ country: 'US', userId: '1', chatbotId: '1' });
  });

  it('default to US, 1 and 1', () => {
    expect(createTenants({})('constructor')).toEqual({ country: 'US', userId: '1', chatbotId: '1' });
  });

  it('are a tenant’s own, and else the default’s', () => {
    const tenants = createTenants({
      default: { country: 'GB', userId: '2' },
      tenants: { acme: { country: 'DE', chatbotId: '7' }, empty: {} },
    });
    expect(tenants('acme')).toEqual({ country: 'DE', userId: '2', chatbotId: '7' });
    expect(tenants('empty')).toEqual({ country: 'GB', userId: '2', chatbotId: '1' });
    expect(tenants('other')).toEqual({ country: 'GB', userId: '2', chatbotId: '1' });
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
    [{ default: { county: 'US' } }, 'default: unknown key "county"'],
  ])('of %j are refused', (faulty, message) => expect(() => createTenants(faulty)).toThrow(message));
});
