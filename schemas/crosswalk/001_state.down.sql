DROP TABLE crosswalk.dead_letter;
DROP TABLE crosswalk.parked_change;
DROP TABLE crosswalk.merge_key;
DROP TABLE crosswalk.contribution;
DROP TABLE crosswalk.consumer_offset;
