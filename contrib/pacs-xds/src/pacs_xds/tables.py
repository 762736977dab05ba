"""The table of registrations, as SQLAlchemy Core knows it; the revisions make it."""

from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, MetaData, Table, Text

_METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

REGISTRATIONS = Table(
    "xds_registrations",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("study_instance_uid", Text),
    Column("digest", Text),
    Column("document_uid", Text),
    Column("entry_uuid", Text),
    Column("submission_uid", Text),
    Column("state", Text),
    Column("created", Double),
    Column("changed", Double),
    Column("replaces", Text),
    Column("patient_id", Text),
    Column("instances", Integer),
    Column("modalities", Text),
    Column("attempts", Integer),
    Column("reason", Text),
    Column("content", LargeBinary),
)
