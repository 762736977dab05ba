"""The tables of procedure steps, as SQLAlchemy Core knows them; the revisions make them."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table, Text

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
    Column("is_watched", Boolean),
    Column("cancel_request", Text),
)

FOLLOWERS = Table(
    "ups_followers",
    _METADATA,
    Column("instance_uid", Text, primary_key=True),
    Column("receiver", Text, primary_key=True),
    Column("has_lock", Boolean),
)
"""Who is told of which step."""

GLOBALS = Table(
    "ups_globals",
    _METADATA,
    Column("receiver", Text, primary_key=True),
    Column("keys", Text),
    Column("has_lock", Boolean),
)
"""Who is told of new steps, or of those that match."""

OUTBOX = Table(
    "ups_outbox",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("receiver", Text),
    Column("instance_uid", Text),
    Column("event_type", Integer),
    Column("information", Text),
    Column("moment", Double),
)
"""What receivers are still to be told, in the order in which it happened."""
