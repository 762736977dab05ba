"""The tables of procedure steps, as SQLAlchemy Core knows them; the revisions make them."""

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, Table, Text

_METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

STEPS = Table(
    "ups_steps",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("instance_uid", Text),
    Column("state", Text),
    Column("transaction_uid", Text),
    Column("created_by", Text),
    Column("claimed_by", Text),
    Column("character_set", Text),
    Column("attributes", Text),
    Column("created", Double),
    Column("changed", Double),
)
