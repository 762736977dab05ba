"""The table of print jobs, as SQLAlchemy Core knows it; the revisions make it."""

from sqlalchemy import Column, Double, Integer, MetaData, Table, Text

_METADATA = MetaData()

JOBS = Table(
    "print_jobs",
    _METADATA,
    Column("uid", Text, primary_key=True),
    Column("folder", Text),
    Column("state", Text),
    Column("info", Text),
    Column("error", Text),
    Column("priority", Text),
    Column("label", Text),
    Column("originator", Text),
    Column("films", Integer),
    Column("created", Text),
    Column("changed", Double),
)
