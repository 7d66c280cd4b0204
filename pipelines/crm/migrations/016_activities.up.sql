-- What was done with leads: opportunities of their contacts, and what the application adds of its own.
CREATE TABLE crm.lead_activities (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  lead_id uuid NOT NULL REFERENCES crm.leads (id),
  activity_type text NOT NULL,
  activity_data jsonb DEFAULT '{}',
  performed_by uuid,
  performed_at timestamptz DEFAULT now(),
  notes text
);
CREATE INDEX lead_activities_lead_idx ON crm.lead_activities (lead_id, performed_at DESC);
CREATE INDEX lead_activities_tenant_idx ON crm.lead_activities (tenant_id, performed_at DESC);
SELECT crosswalk.adopt('crm.lead_activities', 2);
