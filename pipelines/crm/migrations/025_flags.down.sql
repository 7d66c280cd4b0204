DROP VIEW crm.tenant_flags;
