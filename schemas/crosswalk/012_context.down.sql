ALTER TABLE crosswalk.dead_letter DROP COLUMN context;
ALTER TABLE crosswalk.parked_change DROP COLUMN context;
