"""Alembic revisions of the tables of procedure steps."""
