"""Revisions of the tables of routing."""
