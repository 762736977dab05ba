"""Revisions of the tables of performed steps."""
