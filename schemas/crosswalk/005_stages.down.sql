DROP TABLE crosswalk.stage_log;
DROP TABLE crosswalk.lag_sample;
DROP TABLE crosswalk.confirmation;
DROP TABLE crosswalk.gate;
DROP FUNCTION crosswalk.refuse_change();
DROP FUNCTION crosswalk.number_stage();
DROP FUNCTION crosswalk.lowest_stage();
DROP FUNCTION crosswalk.current_stage(text);
