DROP POLICY own_id ON crm.tenants;
DROP FUNCTION IF EXISTS crm.refuse_taking_over() CASCADE;
