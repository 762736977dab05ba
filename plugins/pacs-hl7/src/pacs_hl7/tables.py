"""The tables of messages, as SQLAlchemy Core knows it; the revisions make them."""

from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, MetaData, Table, Text

_METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

MESSAGES = Table(
    "hl7_messages",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("received", Double),
    Column("sender", Text),
    Column("control_id", Text),
    Column("kind", Text),
    Column("patient", Text),
    Column("digest", Text),
    Column("content", LargeBinary),
    Column("state", Text),
    Column("result", Text),
    Column("answer", LargeBinary),
    Column("conflict", Text),
    Column("effects", Text),
)

OUTGOING = Table(
    "hl7_outgoing",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("peer", Text),
    Column("created", Double),
    Column("control_id", Text),
    Column("kind", Text),
    Column("content", LargeBinary),
    Column("state", Text),
    Column("result", Text),
)
"""Messages to be sent, and those that were."""
