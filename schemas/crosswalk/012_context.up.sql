-- Who changed a row, as its record's header says: what waits, and what failed, is applied with it.
ALTER TABLE crosswalk.parked_change ADD COLUMN context text;
ALTER TABLE crosswalk.dead_letter ADD COLUMN context text;
