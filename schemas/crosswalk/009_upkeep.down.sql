DROP FUNCTION crosswalk.keep_up(interval);
DROP FUNCTION crosswalk.analyze_projected();
DROP TABLE crosswalk.upkeep;
