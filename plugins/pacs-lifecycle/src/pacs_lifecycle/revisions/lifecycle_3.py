"""Tables of what was read again, and what was found."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision, down_revision = "lifecycle_3", "lifecycle_2"


def _column(name: str, kind: Any) -> "sa.Column[Any]":
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "lifecycle_passes",
        sa.Column("name", sa.Text, primary_key=True),
        _column("position", sa.Text()),
        _column("began", sa.Double()),
        _column("ended", sa.Double()),
        _column("held_until", sa.Double()),
        _column("checked", sa.BigInteger()),
        _column("unread", sa.BigInteger()),
        _column("size", sa.BigInteger()),
    )
    op.create_table(
        "lifecycle_findings",
        sa.Column("key", sa.Text, primary_key=True),
        _column("by_whom", sa.Text()),
        _column("kind", sa.Text()),
        _column("instance", sa.Text()),
        _column("detail", sa.Text()),
        _column("found", sa.Double()),
    )
    op.create_index("lifecycle_findings_kind", "lifecycle_findings", ["kind"])
