ALTER TABLE crosswalk.parked_change DROP COLUMN repair;
