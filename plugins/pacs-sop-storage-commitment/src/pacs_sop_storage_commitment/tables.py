"""The tables of the plugin, as SQLAlchemy Core knows them; the revisions make them."""

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, Table, Text

_METADATA = MetaData()

TRANSACTIONS = Table(
    "commitment_transactions",
    _METADATA,
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

HOLDS = Table(
    "commitment_holds",
    _METADATA,
    Column("instance_uid", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("peer", Text),
    Column("since", Double),
)
"""Instances that a transaction promises; `since` is 0 until there is a result."""
