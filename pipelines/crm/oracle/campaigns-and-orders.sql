-- Campaigns with their subscribers, and orders: written from docs/mapping.md alone. Runs after oracle.sql, in the same session; it adds to oracle.rejects.

SELECT oracle.keep_others('campaigns', ARRAY['id', 'workspace_id', 'name', 'channel', 'status', 'budget', 'starts_at', 'ends_at', 'created_at', 'updated_at']),
  oracle.keep_others('campaign_subscribers', ARRAY['campaign_id', 'contact_id', 'status', 'subscribed_at'], 't.campaign_id || '' '' || t.contact_id'),
  oracle.keep_others('orders', ARRAY['id', 'contact_id', 'order_number', 'status', 'items', 'total', 'currency', 'placed_at', 'updated_at']);

CREATE UNLOGGED TABLE oracle.campaigns AS
  SELECT id, CASE WHEN oracle.has(workspace_id) THEN workspace_id ELSE 'unassigned' END AS tenant_id, workspace_id, name, channel, status,
    oracle.finite(budget) AS budget, starts_at, ends_at,
    (SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_campaigns o WHERE o.key = c.id::text) AS source_metadata, created_at, updated_at
  FROM legacy.campaigns c;

INSERT INTO oracle.rejects
  SELECT oracle.v5('reject:campaigns|' || c.id || '|budget'), c.tenant_id, 'budget', l.budget::text, 'not a finite number'
  FROM legacy.campaigns l JOIN oracle.campaigns c USING (id) WHERE l.budget IS NOT NULL AND c.budget IS NULL;

-- Whose a subscriber is, its campaign says.
CREATE UNLOGGED TABLE oracle.campaign_subscribers AS
  SELECT oracle.v5('subscriber:' || s.campaign_id || '|' || s.contact_id) AS id, coalesce(c.tenant_id, 'unassigned') AS tenant_id, s.campaign_id, s.contact_id, s.status, s.subscribed_at,
    (SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_campaign_subscribers o WHERE o.key = s.campaign_id || ' ' || s.contact_id) AS source_metadata
  FROM legacy.campaign_subscribers s LEFT JOIN oracle.campaigns c ON c.id = s.campaign_id;

-- Whose an order is, its contact says.
CREATE UNLOGGED TABLE oracle.order_reading AS
  SELECT o.*, oracle.v5('order:' || o.id) AS order_id, coalesce(o.contact_id, oracle.v5('order:' || o.id)) AS merge_key,
    CASE WHEN oracle.has(c.workspace_id) THEN c.workspace_id ELSE 'unassigned' END AS tenant_id, oracle.read_array(o.items) AS item_array
  FROM legacy.orders o LEFT JOIN legacy.contacts c ON c.id = o.contact_id;

CREATE UNLOGGED TABLE oracle.orders AS
  SELECT order_id AS id, tenant_id, id AS legacy_id, merge_key, contact_id, order_number, status, oracle.finite(total) AS total, rtrim(currency::text, ' ') AS currency,
    (SELECT jsonb_object_agg(o.name, o.value) FROM oracle.other_orders o WHERE o.key = r.id::text) AS source_metadata, placed_at, updated_at
  FROM oracle.order_reading r;

CREATE UNLOGGED TABLE oracle.order_element AS
  SELECT r.id AS legacy_id, r.order_id, r.tenant_id, r.merge_key, e.ordinal::integer AS ordinal, e.element, jsonb_typeof(e.element) = 'object' AS is_object,
    oracle.read_number(e.element -> 'qty') AS qty, oracle.read_number(e.element -> 'price') AS price, oracle.read_number(e.element -> 'total') AS total
  FROM oracle.order_reading r CROSS JOIN LATERAL jsonb_array_elements(r.item_array) WITH ORDINALITY e (element, ordinal);

-- A default stands in for what is missing, never for what was rejected.
CREATE UNLOGGED TABLE oracle.order_items AS
  SELECT oracle.v5('order_item:' || legacy_id || ':' || ordinal) AS id, tenant_id, order_id, merge_key, ordinal AS position, element ->> 'sku' AS sku, element ->> 'name' AS name,
    d.quantity, price AS unit_price, CASE WHEN oracle.is_missing(element -> 'total') THEN d.quantity * price ELSE total END AS total,
    nullif(element - ARRAY['sku', 'name', 'qty', 'price', 'total'], '{}') AS source_metadata
  FROM oracle.order_element CROSS JOIN LATERAL (SELECT CASE WHEN oracle.is_missing(element -> 'qty') THEN 1 ELSE qty END AS quantity) d
  WHERE is_object;

CREATE UNLOGGED TABLE oracle.order_rejects AS
  SELECT oracle.v5('reject:orders|' || legacy_id || '|' || path) AS id, tenant_id, merge_key, path, raw_value, reason
  FROM (
    SELECT r.id AS legacy_id, r.tenant_id, r.merge_key, 'total' AS path, r.total::text AS raw_value, 'not a finite number' AS reason
    FROM oracle.order_reading r WHERE r.total IS NOT NULL AND oracle.finite(r.total) IS NULL
    UNION ALL
    SELECT r.id, r.tenant_id, r.merge_key, 'items', oracle.raw_text(r.items), 'not an array'
    FROM oracle.order_reading r WHERE NOT oracle.is_missing(r.items) AND r.item_array IS NULL
    UNION ALL
    SELECT e.legacy_id, e.tenant_id, e.merge_key, 'items[' || e.ordinal || ']', oracle.raw_text(e.element), 'not an object'
    FROM oracle.order_element e WHERE NOT e.is_object
    UNION ALL
    SELECT e.legacy_id, e.tenant_id, e.merge_key, 'items[' || e.ordinal || '].' || v.field, oracle.raw_text(e.element -> v.field), 'not a number'
    FROM oracle.order_element e CROSS JOIN LATERAL (VALUES ('qty', e.qty IS NULL), ('price', e.price IS NULL), ('total', e.total IS NULL)) v (field, is_unread)
    WHERE e.is_object AND v.is_unread AND NOT oracle.is_missing(e.element -> v.field)) r;
