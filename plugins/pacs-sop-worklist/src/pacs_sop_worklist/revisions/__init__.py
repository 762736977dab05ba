"""Revisions of the tables of the worklist."""
