"""Tables of quotas."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "lifecycle_2", "lifecycle_1"


def _number(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "lifecycle_usage",
        sa.Column("quota", sa.Text, primary_key=True),
        sa.Column("study", sa.Text, primary_key=True),
        _number("instances"),
        _number("size"),
    )
    op.create_index("lifecycle_usage_study", "lifecycle_usage", ["study"])
    op.create_table(
        "lifecycle_quotas",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("definition", sa.Text, nullable=False),
        _number("studies"),
        _number("instances"),
        _number("size"),
    )
