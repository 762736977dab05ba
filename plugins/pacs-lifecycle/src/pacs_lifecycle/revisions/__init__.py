"""Revisions of the tables of lifecycle."""
