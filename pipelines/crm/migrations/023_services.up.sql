-- What the application needs for many tenants: work that waits for people, a catalogue, usage, access from outside, and what chatbots know.

CREATE TABLE crm.actions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  user_id bigint NOT NULL REFERENCES crm.users (id),
  chatbot_id bigint REFERENCES crm.chatbots (id) ON DELETE SET NULL,
  contact_id uuid REFERENCES crm.contacts (id),
  lead_id uuid REFERENCES crm.leads (id),
  action_type text NOT NULL CHECK (btrim(action_type) <> ''),
  title text NOT NULL,
  description text,
  status text NOT NULL DEFAULT 'pending' CONSTRAINT actions_status_check CHECK (status IN ('pending', 'in_progress', 'approved', 'rejected', 'completed', 'cancelled')),
  priority text NOT NULL DEFAULT 'medium' CONSTRAINT actions_priority_check CHECK (priority IN ('low', 'medium', 'high', 'urgent')),
  payload jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(payload) = 'object'),
  due_at timestamptz,
  decided_by text,
  decided_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT actions_decided_check CHECK ((status IN ('approved', 'rejected', 'completed', 'cancelled')) = (decided_at IS NOT NULL))
);
CREATE INDEX actions_user_idx ON crm.actions (user_id, created_at DESC);
COMMENT ON INDEX crm.actions_user_idx IS 'actions of one account, the newest first: WHERE user_id = $1';
CREATE INDEX actions_status_idx ON crm.actions (tenant_id, status, created_at DESC);
COMMENT ON INDEX crm.actions_status_idx IS 'actions of one tenant by status: WHERE status = $1 ORDER BY created_at DESC';
CREATE INDEX actions_due_idx ON crm.actions (tenant_id, due_at) WHERE status IN ('pending', 'in_progress');
COMMENT ON INDEX crm.actions_due_idx IS 'open actions that are due: WHERE status IN (''pending'', ''in_progress'') AND due_at <= now()';
CREATE INDEX actions_contact_idx ON crm.actions (contact_id) WHERE contact_id IS NOT NULL;
COMMENT ON INDEX crm.actions_contact_idx IS 'actions about one contact: WHERE contact_id = $1';
CREATE INDEX actions_lead_idx ON crm.actions (lead_id) WHERE lead_id IS NOT NULL;
COMMENT ON INDEX crm.actions_lead_idx IS 'actions about one lead: WHERE lead_id = $1';

CREATE TABLE crm.products (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  sku text,
  name text NOT NULL CHECK (btrim(name) <> ''),
  description text,
  category text,
  price numeric(12,2) CONSTRAINT products_price_check CHECK (price >= 0 AND price <> 'NaN'),
  currency text NOT NULL DEFAULT 'USD' CONSTRAINT products_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
  stock_quantity integer CHECK (stock_quantity >= 0),
  attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);
CREATE UNIQUE INDEX products_sku_key ON crm.products (tenant_id, sku) WHERE sku IS NOT NULL AND deleted_at IS NULL;
COMMENT ON INDEX crm.products_sku_key IS 'a live product by its number: WHERE sku = $1';
CREATE INDEX products_name_idx ON crm.products (tenant_id, name) WHERE deleted_at IS NULL;
COMMENT ON INDEX crm.products_name_idx IS 'the catalogue of one tenant: ORDER BY name';

CREATE TABLE crm.usage_tracking (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  user_id bigint NOT NULL REFERENCES crm.users (id),
  tracking_date date NOT NULL,
  messages_sent bigint NOT NULL DEFAULT 0 CHECK (messages_sent >= 0),
  messages_received bigint NOT NULL DEFAULT 0 CHECK (messages_received >= 0),
  campaigns_sent bigint NOT NULL DEFAULT 0 CHECK (campaigns_sent >= 0),
  api_calls bigint NOT NULL DEFAULT 0 CHECK (api_calls >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT usage_tracking_day_key UNIQUE (user_id, tracking_date, tenant_id)
);
COMMENT ON INDEX crm.usage_tracking_day_key IS 'usage of one account on one day: WHERE user_id = $1 AND tracking_date = $2, and INSERT … ON CONFLICT';

CREATE TABLE crm.monthly_usage_summary (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  user_id bigint NOT NULL REFERENCES crm.users (id),
  month date NOT NULL CONSTRAINT monthly_usage_summary_month_check CHECK (extract(day FROM month) = 1),
  messages_sent bigint NOT NULL CHECK (messages_sent >= 0),
  messages_received bigint NOT NULL CHECK (messages_received >= 0),
  campaigns_sent bigint NOT NULL CHECK (campaigns_sent >= 0),
  api_calls bigint NOT NULL CHECK (api_calls >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT monthly_usage_summary_month_key UNIQUE (user_id, month, tenant_id)
);
COMMENT ON INDEX crm.monthly_usage_summary_month_key IS 'usage of one account in one month: WHERE user_id = $1 AND month = $2';

-- Only the hash of a key is kept: crm.create_api_key() shows the key once.
CREATE TABLE crm.api_keys (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  user_id bigint NOT NULL REFERENCES crm.users (id) ON DELETE CASCADE,
  name text NOT NULL CHECK (btrim(name) <> ''),
  key_hash text NOT NULL CONSTRAINT api_keys_hash_check CHECK (key_hash ~ '^[0-9a-f]{64}$'), -- SHA-256 of the key, in hexadecimal digits
  key_start text NOT NULL CHECK (length(key_start) <= 12), -- for people who look for it
  scopes text[] NOT NULL DEFAULT '{}',
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT api_keys_hash_key UNIQUE (key_hash)
);
COMMENT ON INDEX crm.api_keys_hash_key IS 'whose key it is: crm.check_api_key()';
CREATE INDEX api_keys_user_idx ON crm.api_keys (user_id);
COMMENT ON INDEX crm.api_keys_user_idx IS 'keys of one account: WHERE user_id = $1; and the cascade when an account is deleted';

CREATE TABLE crm.webhooks (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  user_id bigint NOT NULL REFERENCES crm.users (id) ON DELETE CASCADE,
  name text NOT NULL CHECK (btrim(name) <> ''),
  url text NOT NULL CONSTRAINT webhooks_url_check CHECK (url ~ '^https://[^[:space:]]+$'),
  events text[] NOT NULL CONSTRAINT webhooks_events_check CHECK (cardinality(events) > 0 AND array_position(events, NULL) IS NULL),
  secret_encrypted bytea,               -- as the application encrypts it: pgp_sym_encrypt(secret, key), with a key that is in no database
  is_active boolean NOT NULL DEFAULT true,
  failure_count integer NOT NULL DEFAULT 0 CHECK (failure_count >= 0),
  last_called_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhooks_active_idx ON crm.webhooks (tenant_id) WHERE is_active;
COMMENT ON INDEX crm.webhooks_active_idx IS 'whom an event of one tenant is sent to: WHERE is_active AND $1 = ANY (events)';
CREATE INDEX webhooks_user_idx ON crm.webhooks (user_id);
COMMENT ON INDEX crm.webhooks_user_idx IS 'webhooks of one account: WHERE user_id = $1; and the cascade when an account is deleted';

CREATE TABLE crm.bot_knowledge_base (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  chatbot_id bigint NOT NULL REFERENCES crm.chatbots (id) ON DELETE CASCADE,
  question text NOT NULL CHECK (btrim(question) <> ''),
  answer text NOT NULL,
  category text,
  keywords text[] NOT NULL DEFAULT '{}',
  priority integer NOT NULL DEFAULT 0,
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX bot_knowledge_base_chatbot_idx ON crm.bot_knowledge_base (chatbot_id, priority DESC) WHERE is_active;
COMMENT ON INDEX crm.bot_knowledge_base_chatbot_idx IS 'what one chatbot knows: WHERE chatbot_id = $1 AND is_active ORDER BY priority DESC';

CREATE TABLE crm.conversation_instructions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id text NOT NULL,
  chatbot_id bigint NOT NULL REFERENCES crm.chatbots (id) ON DELETE CASCADE,
  name text NOT NULL CHECK (btrim(name) <> ''),
  instructions text NOT NULL,
  conditions jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(conditions) = 'object'),
  priority integer NOT NULL DEFAULT 0,
  valid_from timestamptz,
  valid_until timestamptz,
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT conversation_instructions_valid_check CHECK (valid_from < valid_until)
);
CREATE INDEX conversation_instructions_chatbot_idx ON crm.conversation_instructions (chatbot_id, priority DESC) WHERE is_active;
COMMENT ON INDEX crm.conversation_instructions_chatbot_idx IS 'what one chatbot is told: WHERE chatbot_id = $1 AND is_active ORDER BY priority DESC';

SELECT crm.open_to_application(('crm.' || own)::regclass, 1) FROM unnest(ARRAY['actions', 'products', 'usage_tracking', 'monthly_usage_summary', 'api_keys', 'webhooks',
  'bot_knowledge_base', 'conversation_instructions']) AS own;
SELECT crm.refer_within_tenant(('crm.' || own)::regclass, 'user_id', 'crm.users')
  FROM unnest(ARRAY['actions', 'usage_tracking', 'monthly_usage_summary', 'api_keys', 'webhooks']) AS own;
SELECT crm.refer_within_tenant(('crm.' || own)::regclass, 'chatbot_id', 'crm.chatbots')
  FROM unnest(ARRAY['actions', 'bot_knowledge_base', 'conversation_instructions']) AS own;
SELECT crm.refer_within_tenant('crm.actions', 'contact_id', 'crm.contacts'),
  crm.refer_within_tenant('crm.actions', 'lead_id', 'crm.leads');

-- Sums of the days of one month, as far as the caller sees them. Safe to repeat. Returns how many accounts have a row.
CREATE FUNCTION crm.summarise_usage(summarised date) RETURNS bigint LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  WITH summed AS (
    INSERT INTO crm.monthly_usage_summary AS s (tenant_id, user_id, month, messages_sent, messages_received, campaigns_sent, api_calls)
    SELECT u.tenant_id, u.user_id, date_trunc('month', summarised)::date, sum(u.messages_sent), sum(u.messages_received), sum(u.campaigns_sent), sum(u.api_calls)
    FROM crm.usage_tracking u
    WHERE u.tracking_date >= date_trunc('month', summarised)::date AND u.tracking_date < (date_trunc('month', summarised) + interval '1 month')::date GROUP BY 1, 2
    ON CONFLICT (user_id, month, tenant_id) DO UPDATE SET messages_sent = excluded.messages_sent, messages_received = excluded.messages_received,
      campaigns_sent = excluded.campaigns_sent, api_calls = excluded.api_calls
    RETURNING 1)
  SELECT count(*) FROM summed
$$;

-- Makes a key for an account of the session's tenant, and returns it: the only time that anybody sees it. 244 random bits.
CREATE FUNCTION crm.create_api_key(account bigint, name text, scopes text[] DEFAULT '{}', expires_at timestamptz DEFAULT NULL) RETURNS text
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  made text := 'cw_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
BEGIN
  INSERT INTO crm.api_keys (tenant_id, user_id, name, key_hash, key_start, scopes, expires_at)
    VALUES (current_setting('crosswalk.tenant_id'), account, create_api_key.name, encode(sha256(convert_to(made, 'UTF8')), 'hex'), left(made, 9), create_api_key.scopes, create_api_key.expires_at);
  RETURN made;
END $$;

-- Whose key it is; no row where it is none, is revoked or has expired, or where its tenant is not at stage 1. Asked before it is known for whom the session works: whoever has a key may know its tenant.
CREATE FUNCTION crm.check_api_key(given text) RETURNS TABLE (api_key_id uuid, tenant_id text, user_id bigint, scopes text[])
  LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
  SELECT k.id, k.tenant_id, k.user_id, k.scopes FROM crm.api_keys k
  WHERE k.key_hash = encode(sha256(convert_to(given, 'UTF8')), 'hex') AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AND crosswalk.current_stage(k.tenant_id) >= 1
$$;
REVOKE ALL ON FUNCTION crm.summarise_usage(date), crm.create_api_key(bigint, text, text[], timestamptz), crm.check_api_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION crm.summarise_usage(date), crm.create_api_key(bigint, text, text[], timestamptz), crm.check_api_key(text) TO crosswalk_app;
