-- Why somebody is on the do-not-call list. Null in projected entries: the legacy rows say when, not why.
ALTER TABLE crm.dnc_list ADD COLUMN source text CONSTRAINT dnc_list_source_check CHECK (source IN ('person', 'import', 'ai')), ADD COLUMN reason text;
