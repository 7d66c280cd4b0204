DROP POLICY own_id ON crm.tenants;
DROP FUNCTION crm.refuse_taking_over() CASCADE;
