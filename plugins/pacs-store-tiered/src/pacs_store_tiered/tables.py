"""The table of studies, as SQLAlchemy Core knows it; the revisions make it."""

from sqlalchemy import Boolean, Column, Double, MetaData, Table, Text

STUDIES = Table(
    "tiered_studies",
    MetaData(),
    Column("uid", Text, primary_key=True),
    Column("arrived", Double),
    Column("used", Double),
    Column("complete", Boolean),
    Column("pinned", Text),
)
