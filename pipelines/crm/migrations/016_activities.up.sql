-- What was done with leads: messages, appointments and opportunities of their contacts, and what the application adds of its own.
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

CREATE TABLE crm.messages (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  user_id bigint NOT NULL REFERENCES crm.users (id),
  chatbot_id bigint NOT NULL REFERENCES crm.chatbots (id),
  contact_id uuid NOT NULL REFERENCES crm.contacts (id),
  workspace_id text,
  direction text,
  channel text,
  body text,
  media jsonb,
  status text,
  external_id text,
  sent_at timestamptz DEFAULT now(),
  delivered_at timestamptz,
  read_at timestamptz,
  source_metadata jsonb,
  deleted_at timestamptz
);
CREATE INDEX messages_contact_idx ON crm.messages (contact_id, sent_at DESC);
CREATE INDEX messages_tenant_idx ON crm.messages (tenant_id, sent_at DESC) WHERE deleted_at IS NULL;
CREATE INDEX messages_user_idx ON crm.messages (user_id, sent_at DESC) WHERE deleted_at IS NULL;
SELECT crosswalk.adopt('crm.messages', 2);
-- As contacts: an account that a message is given to sees whose it is.
CREATE POLICY own_account ON crm.messages AS RESTRICTIVE FOR INSERT TO crosswalk_app WITH CHECK (crm.may_belong_to(user_id));
CREATE POLICY own_account_still ON crm.messages AS RESTRICTIVE FOR UPDATE TO crosswalk_app USING (true) WITH CHECK (crm.may_belong_to(user_id));
