"""The tables of the plugin, as SQLAlchemy Core knows them; the revisions make them."""

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, Table, Text

_METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

REQUESTS = Table(
    "ai_requests",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("service", Text),
    Column("version", Text),
    Column("study_uid", Text),
    Column("fingerprint", Text),
    Column("inputs", Text),
    Column("priority", Integer),
    Column("asked_by", Text),
    Column("state", Text),
    Column("attempts", Integer),
    Column("reason", Text),
    Column("note", Text),
    Column("created", Double),
    Column("asked", Double),
    Column("answered", Double),
    Column("job", BigInteger),
    Column("token", Text),
    Column("names", Text),
)

RESULTS = Table(
    "ai_results",
    _METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("request", BigInteger),
    Column("service", Text),
    Column("version", Text),
    Column("study_uid", Text),
    Column("series_uid", Text),
    Column("instance_uid", Text),
    Column("sop_class_uid", Text),
    Column("digest", Text),
    Column("algorithm", Text),
    Column("state", Text),
    Column("reasons", Text),
    Column("fixes", Text),
    Column("arrived", Double),
    Column("changed", Double),
    Column("changed_by", Text),
    Column("assessment", Text),
    Column("assessed_by", Text),
    Column("assessed", Double),
    Column("comment", Text),
    Column("assessment_uid", Text),
    Column("is_hidden", Integer),
)

FINDINGS = Table(
    "ai_findings",
    _METADATA,
    Column("result", BigInteger, primary_key=True),
    Column("finding", Text, primary_key=True),
    Column("service", Text),
    Column("version", Text),
    Column("assessment", Text),
    Column("assessed_by", Text),
    Column("comment", Text),
    Column("assessed", Double),
)

STEPS = Table(
    "ai_steps",
    _METADATA,
    Column("step_uid", Text, primary_key=True),
    Column("transaction_uid", Text),
    Column("requests", Text),
)

BREAKERS = Table(
    "ai_breakers",
    _METADATA,
    Column("service", Text, primary_key=True),
    Column("failures", Integer),
    Column("open_until", Double),
    Column("reason", Text),
)
