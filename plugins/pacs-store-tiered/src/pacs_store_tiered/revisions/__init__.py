"""Revisions of the tables of tiers."""
