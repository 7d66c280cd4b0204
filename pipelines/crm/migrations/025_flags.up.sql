-- The flags of the lead-centric plan, as the stage of the session's tenant has them: one row, and none without a tenant. They follow `crosswalk stage set` from the next statement on, and nobody else sets them.
CREATE VIEW crm.tenant_flags AS
  SELECT s.tenant_id, s.stage AS migration_stage, s.stage >= 1 AS lead_centric_enabled,
    jsonb_build_object('LEAD_CENTRIC_UI', s.stage >= 1, 'ENHANCED_LEAD_TRACKING', s.stage >= 2, 'MULTIPLE_LEADS_PER_CONTACT', s.stage >= 3) AS flags
  FROM (SELECT current_setting('crosswalk.tenant_id', true) AS tenant_id, crosswalk.current_stage(current_setting('crosswalk.tenant_id', true)) AS stage OFFSET 0) s
  WHERE s.tenant_id <> '';
GRANT SELECT ON crm.tenant_flags TO crosswalk_app, crosswalk_reader;
