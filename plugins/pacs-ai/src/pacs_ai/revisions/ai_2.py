"""The table of work items that the node performs."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "ai_2", "ai_1"


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "ai_steps",
        sa.Column("step_uid", sa.Text, primary_key=True),
        sa.Column("transaction_uid", sa.Text, nullable=False),
        # Numbers, as JSON; empty until they are made.
        sa.Column("requests", sa.Text, nullable=False),
    )
