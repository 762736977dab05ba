"""Revisions of the tables of print jobs."""
