DROP FUNCTION IF EXISTS crosswalk.keep_up(interval);
DROP FUNCTION IF EXISTS crosswalk.analyze_projected();
DROP TABLE crosswalk.upkeep;
