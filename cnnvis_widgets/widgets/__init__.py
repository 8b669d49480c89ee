"""Pictures <-> person: the browser view (`stage`), ordinary controls (`controls`) and what joins them (`explorer`)."""
