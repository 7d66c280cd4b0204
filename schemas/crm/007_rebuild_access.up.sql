-- A rebuild runs with the rights of the projectors.
GRANT EXECUTE ON FUNCTION crosswalk.create_shadow(text, text[], boolean), crosswalk.drop_shadow(text) TO crosswalk_projector;
