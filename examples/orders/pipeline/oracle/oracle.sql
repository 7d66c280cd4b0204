-- The mapping once more, in SQL that shares no code with the projections: every live row of the new tables, computed from the legacy ones.
-- Reads legacy.<table>, oracle_input.tenant; writes oracle.<table>, without lifecycle and lineage.

CREATE EXTENSION "uuid-ossp" SCHEMA oracle;

-- As uuid5() of crosswalk derives ids.
CREATE FUNCTION oracle.v5(name text) RETURNS uuid LANGUAGE sql IMMUTABLE
  RETURN oracle.uuid_generate_v5('3a9f6c52-8d0b-5e0e-9b1c-6f0c1f7d2a10', name);

CREATE FUNCTION oracle.key(VARIADIC columns text[]) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN (SELECT '[' || string_agg(to_json(name)::text, ',' ORDER BY place) || ']' FROM unnest(columns) WITH ORDINALITY c (name, place));

CREATE FUNCTION oracle.email(raw text) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN (SELECT CASE WHEN email ~ E'^[^@\t\n\x0B\f\r \u00A0]+@[^@\t\n\x0B\f\r \u00A0]+$' THEN email END
    FROM (SELECT lower(btrim(raw, E'\t\n\x0B\f\r \u00A0') COLLATE pg_c_utf8) COLLATE "C" AS email) trimmed);

CREATE FUNCTION oracle.number(raw text) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN CASE WHEN btrim(raw, E'\t\n\x0B\f\r \u00A0') ~ '^[+-]?[0-9]+([.][0-9]*)?$' THEN btrim(raw, E'\t\n\x0B\f\r \u00A0')::numeric END;
END $$;

CREATE UNLOGGED TABLE oracle.shops AS
  SELECT id, id AS tenant_id, name, settings, NULL::jsonb AS source_metadata, opened_at FROM legacy.shops;

CREATE UNLOGGED TABLE oracle.read_order AS
  SELECT o.*, oracle.key(shop_id, order_no::text) AS key, oracle.email(buyer_email) AS email FROM legacy.orders o;
CREATE UNLOGGED TABLE oracle.read_line AS
  SELECT l.*, oracle.key(shop_id, order_no::text, line_no::text) AS key, oracle.number(quantity) AS count, oracle.number(unit_price::text) AS price FROM legacy.order_lines l;
CREATE UNLOGGED TABLE oracle.read_signup AS
  SELECT s.*, oracle.email(s.email) AS address FROM legacy.newsletter_signups s;

CREATE UNLOGGED TABLE oracle.orders AS
  SELECT oracle.v5('order:' || key) AS id, shop_id AS tenant_id, order_no, CASE WHEN email IS NOT NULL THEN oracle.v5('buyer:' || shop_id || '|' || email) END AS buyer_id,
    status::text AS status, CASE WHEN btrim(o.currency) <> '' THEN o.currency ELSE coalesce(own.currency, rest.currency) END AS currency, oracle.number(total::text) AS total,
    CASE WHEN jsonb_typeof(shipping) = 'object' AND jsonb_typeof(shipping -> 'city') = 'string' THEN nullif(shipping ->> 'city', '') END AS city,
    CASE WHEN jsonb_typeof(shipping) = 'object' AND jsonb_typeof(shipping -> 'country') = 'string' THEN nullif(shipping ->> 'country', '') END AS country,
    CASE WHEN gift_note IS NOT NULL THEN jsonb_build_object('gift_note', gift_note) END AS source_metadata, placed_at, updated_at
  FROM oracle.read_order o
  CROSS JOIN (SELECT currency FROM oracle_input.tenant WHERE shop = '') rest (currency)
  LEFT JOIN oracle_input.tenant own (shop, currency) ON own.shop = shop_id;

CREATE UNLOGGED TABLE oracle.order_lines AS
  SELECT oracle.v5('order line:' || key) AS id, shop_id AS tenant_id, oracle.v5('order:' || oracle.key(shop_id, order_no::text)) AS order_id, line_no, sku,
    count AS quantity, price AS unit_price, count * price AS amount, options
  FROM oracle.read_line;

CREATE UNLOGGED TABLE oracle.buyers AS
  SELECT oracle.v5('buyer:' || shop_id || '|' || email) AS id, shop_id AS tenant_id, email,
    (array_agg(name ORDER BY updated_at DESC, key COLLATE "C" DESC, source COLLATE "C" DESC) FILTER (WHERE btrim(name) <> ''))[1] AS name,
    coalesce(bool_or(confirmed), false) AS is_subscribed, min(created_at) AS first_seen_at, max(updated_at) AS last_seen_at
  FROM (
    SELECT shop_id, email, buyer_name AS name, NULL::boolean AS confirmed, placed_at AS created_at, updated_at, key, 'orders' AS source FROM oracle.read_order
    UNION ALL SELECT shop_id, address, name, confirmed, created_at, updated_at, id::text, 'newsletter_signups' FROM oracle.read_signup) said
  WHERE email IS NOT NULL GROUP BY shop_id, email;

CREATE UNLOGGED TABLE oracle.rejects AS
  SELECT oracle.v5('reject:' || source || '|' || key || '|' || path) AS id, shop_id AS tenant_id, path, raw_value, reason
  FROM (
    SELECT 'orders' AS source, key, shop_id, 'buyer_email' AS path, buyer_email AS raw_value, 'not an e-mail address' AS reason FROM oracle.read_order
      WHERE email IS NULL AND btrim(buyer_email) <> ''
    UNION ALL SELECT 'orders', key, shop_id, 'total', total::text, 'not a number' FROM oracle.read_order WHERE total IS NOT NULL AND oracle.number(total::text) IS NULL
    UNION ALL SELECT 'orders', key, shop_id, 'shipping', shipping::text, 'not an object' FROM oracle.read_order WHERE jsonb_typeof(shipping) NOT IN ('object', 'null')
    UNION ALL SELECT 'order_lines', key, shop_id, 'quantity', quantity, 'not a number' FROM oracle.read_line WHERE quantity IS NOT NULL AND count IS NULL
    UNION ALL SELECT 'order_lines', key, shop_id, 'unit_price', unit_price::text, 'not a number' FROM oracle.read_line WHERE unit_price IS NOT NULL AND price IS NULL
    UNION ALL SELECT 'newsletter_signups', id::text, shop_id, 'email', email, 'not an e-mail address' FROM oracle.read_signup WHERE address IS NULL) rejected;
