"""The table of procedure steps."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "ups_1", None


def upgrade() -> None:
    """Create it."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "ups_steps",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("instance_uid", sa.Text, nullable=False, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("transaction_uid", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("claimed_by", sa.Text, nullable=False),
        sa.Column("character_set", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ups_steps_state", "ups_steps", ["state", "changed"])
