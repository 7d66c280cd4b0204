import { describe, expect, it } from 'vitest';
import { statusOptions } from '../../../pipelines/crm/projections/status-options.ts';
import { workspaces } from '../../../pipelines/crm/projections/workspaces.ts';
import { tenants } from './mapped.ts';

const times = { created_at: '2024-01-01 00:00:00+00', updated_at: 'infinity' };

describe('workspaces → tenants', () => {
  const row = { id: ' acme', name: '', plan: 'pro', country: 'U ', settings: '{"a": 1}', ...times };

  it('copies', () => {
    expect(workspaces.map(row, tenants)).toEqual({
      rows: { tenants: [{ ...row, tenant_id: ' acme', country: 'U', source_metadata: null }] },
      contributions: [],
    });
  });

  it.each([
    ['US', 'US'],
    ['  ', ''],
    ['U\t', 'U\t'],
    [null, null],
  ])('country %j is %j', (country, expected) => {
    expect(workspaces.map({ ...row, country }, tenants).rows.tenants![0]!.country).toBe(expected);
  });

  it('has a tenant even where its id is blank', () => {
    expect(workspaces.map({ ...row, id: ' ' }, tenants).rows.tenants![0]).toMatchObject({
      id: ' ',
      tenant_id: 'unassigned',
    });
  });
});

describe('status_options → status_options', () => {
  const row = {
    ...{ id: '7', workspace_id: 'acme', category: 'lead', name: ' Hot', color: null, sort_order: '3' },
    ...{ is_default: 't', is_active: 'f', ...times },
  };

  it('copies', () => {
    expect(statusOptions.map(row, tenants)).toEqual({
      rows: { status_options: [{ ...row, tenant_id: 'acme', source_metadata: null }] },
      contributions: [],
    });
  });

  it('has a tenant even without a workspace', () => {
    const implied = statusOptions.map({ ...row, workspace_id: null }, tenants);
    expect(implied.rows.status_options![0]).toMatchObject({ tenant_id: 'unassigned', workspace_id: null });
  });
});
