"""The table of storage commitment transactions."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "commitment_1", None


def upgrade() -> None:
    """Create it."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "commitment_transactions",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("instances", sa.Text, nullable=False),
        sa.Column("failed", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
        sa.UniqueConstraint("direction", "peer", "uid", "digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("commitment_changed", "commitment_transactions", ["state", "changed"])
