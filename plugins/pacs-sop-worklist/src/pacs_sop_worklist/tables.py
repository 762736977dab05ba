"""The tables of the worklist, as SQLAlchemy Core knows them; the revisions make them."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table, Text

_METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

STEPS = Table(
    "worklist_steps",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("identity", Text),
    Column("source", Text),
    Column("state", Text),
    Column("is_open", Boolean),
    Column("start", Text),
    Column("modality", Text),
    Column("patient_id", Text),
    Column("accession_number", Text),
    Column("study_uid", Text),
    Column("patient_name", Text),
    Column("attributes", Text),
    Column("performed", Text),
    Column("changed", Double),
)

STATIONS = Table(
    "worklist_stations",
    _METADATA,
    Column("ae_title", Text, primary_key=True),
    Column("is_open", Boolean, primary_key=True),
    Column("start", Text, primary_key=True),
    Column("number", _NUMBER, primary_key=True),
)
"""Each step under each of its stations; one without a station is under ``""``."""
