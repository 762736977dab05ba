"""Index of pacs-core in an embedded SQLite database, with group commit."""
