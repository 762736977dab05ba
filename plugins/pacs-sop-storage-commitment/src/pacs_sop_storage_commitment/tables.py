"""The table of transactions, as SQLAlchemy Core knows it; the revisions make it."""

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, Table, Text

TRANSACTIONS = Table(
    "commitment_transactions",
    MetaData(),
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("direction", Text),
    Column("peer", Text),
    Column("uid", Text),
    Column("digest", Text),
    Column("state", Text),
    Column("instances", Text),
    Column("failed", Text),
    Column("note", Text),
    Column("created", Double),
    Column("changed", Double),
)
