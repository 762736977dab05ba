"""Audit sink of pacs-core: one JSON line per event, to a rotating file or stdout."""
