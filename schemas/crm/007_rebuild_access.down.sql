REVOKE EXECUTE ON FUNCTION crosswalk.create_shadow(text, text[], boolean), crosswalk.drop_shadow(text) FROM crosswalk_projector;
