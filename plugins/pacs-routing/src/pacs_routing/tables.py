"""The tables of the plugin, as SQLAlchemy Core knows them; the revisions make them."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table, Text

_METADATA = MetaData()

DELIVERIES = Table(
    "routing_deliveries",
    _METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("rule", Text),
    Column("peer", Text),
    Column("lane", Integer),
    Column("study_uid", Text),
    Column("instance_uid", Text),
    Column("version", Text),
    Column("deidentify", Text),
    Column("priority", Integer),
    Column("is_ordered", Boolean),
    Column("is_committed", Boolean),
    Column("state", Text),
    Column("attempts", Integer),
    Column("due", Double),
    Column("status", Integer),
    Column("reason", Text),
    Column("sent_uid", Text),
    Column("created", Double),
    Column("changed", Double),
)

LANES = Table(
    "routing_lanes",
    _METADATA,
    Column("peer", Text, primary_key=True),
    Column("lane", Integer, primary_key=True),
    Column("job", BigInteger),
)
"""The job that sends what waits for a peer in a lane; 0 if there is none."""
