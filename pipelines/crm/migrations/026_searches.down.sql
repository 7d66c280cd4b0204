-- crosswalk: transaction
DROP FUNCTION IF EXISTS crm.leads_with_tags(text, text[]);
DROP FUNCTION IF EXISTS crm.search_leads(text, text);
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.contacts_user_thread_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.contacts_user_phone_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.leads_tags_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.contacts_name_trgm_idx;
-- crosswalk: concurrently
DROP INDEX CONCURRENTLY IF EXISTS crm.leads_name_trgm_idx;
