"""The tables of lifecycle, as SQLAlchemy Core knows them; the revisions make them."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table, Text

_METADATA: Final = MetaData()

STUDIES: Final = Table(
    "lifecycle_studies",
    _METADATA,
    Column("uid", Text, primary_key=True),
    Column("arrived", Double),
    Column("complete", Boolean),
)

HOLDS: Final = Table(
    "lifecycle_holds",
    _METADATA,
    Column("study", Text, primary_key=True),
    Column("reason", Text),
    Column("held_by", Text),
    Column("since", Double),
)

USAGE: Final = Table(
    "lifecycle_usage",
    _METADATA,
    Column("quota", Text, primary_key=True),
    Column("study", Text, primary_key=True),
    Column("instances", BigInteger),
    Column("size", BigInteger),
)

QUOTAS: Final = Table(
    "lifecycle_quotas",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("definition", Text),
    Column("studies", BigInteger),
    Column("instances", BigInteger),
    Column("size", BigInteger),
)

PASSES: Final = Table(
    "lifecycle_passes",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("position", Text),
    Column("began", Double),
    Column("ended", Double),
    Column("held_until", Double),
    Column("checked", BigInteger),
    Column("unread", BigInteger),
    Column("size", BigInteger),
)

FINDINGS: Final = Table(
    "lifecycle_findings",
    _METADATA,
    Column("key", Text, primary_key=True),
    Column("by_whom", Text),
    Column("kind", Text),
    Column("instance", Text),
    Column("detail", Text),
    Column("found", Double),
)

BIN: Final = Table(
    "lifecycle_bin",
    _METADATA,
    Column("key", Text, primary_key=True),
    Column("study", Text),
    Column("series", Text),
    Column("instance", Text),
    Column("sop_class", Text),
    Column("transfer_syntax", Text),
    Column("size", BigInteger),
    Column("dataset_offset", Integer),
    Column("digest", Text),
    Column("corrections", Text),
    Column("came", Text),
    Column("patient", Text),
    Column("deleted", Double),
    Column("deleted_by", Text),
    Column("state", Text),
    Column("since", Double),
)

ASIDE: Final = Table(
    "lifecycle_bin_aside",
    _METADATA,
    Column("key", Text, primary_key=True),
    Column("owner", Text),
)
