"""The table of messages, as SQLAlchemy Core knows it; the revisions make it."""

from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, MetaData, Table, Text

MESSAGES = Table(
    "hl7_messages",
    MetaData(),
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
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
