DROP TABLE crosswalk.history_state;
