-- crosswalk: replaces d6d19f07dff2c34f14a5937351918e91882ea7c65c721bede38cc03f95a6cb11
-- Ids of tenants are those of workspaces: an application's own tenant is the one that it works for.
CREATE POLICY own_id ON crm.tenants AS RESTRICTIVE TO crosswalk_app USING (true) WITH CHECK (id = tenant_id);
