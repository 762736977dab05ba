"""The tables of performed steps, as SQLAlchemy Core knows them; the revisions make them."""

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, Table, Text

_METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

STEPS = Table(
    "mpps_steps",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("instance_uid", Text),
    Column("state", Text),
    Column("created_by", Text),
    Column("patient_id", Text),
    Column("character_set", Text),
    Column("attributes", Text),
    Column("created", Double),
    Column("changed", Double),
)

SCHEDULED = Table(
    "mpps_scheduled",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("study_uid", Text),
    Column("accession_number", Text),
    Column("step_id", Text),
)
"""Each item of the Scheduled Step Attributes Sequence of each step."""

OUTBOX = Table(
    "mpps_outbox",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("channel", Text),
    Column("peer", Text),
    Column("instance_uid", Text),
    Column("operation", Text),
    Column("event_type", Integer),
    Column("attributes", Text),
)
"""What peers are still to be told, in the order in which it happened."""
