-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.unique_customer_phone;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.unique_thread_per_user;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.unique_contact_per_user;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.contacts_user_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.contacts_email_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.leads_email_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.leads_phone_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.dnc_list_bare_head_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.dnc_list_head_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.dnc_list_key_idx;
-- crosswalk: transaction
CREATE OR REPLACE FUNCTION crm.is_on_dnc_list(phone text, organisation text) RETURNS boolean
  LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN crm.is_held_back(1) THEN NULL ELSE EXISTS (SELECT FROM crm.dnc_list d
    WHERE d.tenant_id = organisation AND d.deleted_at IS NULL AND (d.expires_at IS NULL OR d.expires_at > now())
      AND d.identity IN (phone, regexp_replace(phone, '[^0-9]', '', 'g'))) END
$$;
ALTER FUNCTION crm.is_on_dnc_list(text, text) RESET ALL;
DROP FUNCTION IF EXISTS crm.dnc_list_holds(text, text);
DROP FUNCTION IF EXISTS crm.folded_email(text);
DROP FUNCTION IF EXISTS crm.may_be_same_number(text, text, text);
DROP FUNCTION IF EXISTS crm.may_be_same_digits(text, text);
DROP FUNCTION IF EXISTS crm.is_spelling(text, text, boolean);
DROP FUNCTION IF EXISTS crm.without_trunk(text, text, text);
-- Their indexes are gone by now; where this is only tried they go as well.
DROP FUNCTION IF EXISTS crm.dnc_head(text, boolean) CASCADE;
DROP FUNCTION IF EXISTS crm.dnc_key(text, text) CASCADE;
DROP FUNCTION IF EXISTS crm.calling_code_of(text);
DROP FUNCTION IF EXISTS crm.phone_digits(text);
DROP FUNCTION IF EXISTS crm.without_extension(text);
DROP FUNCTION IF EXISTS crm.ascii_digits(text);
DROP VIEW IF EXISTS crm.calling_code;
