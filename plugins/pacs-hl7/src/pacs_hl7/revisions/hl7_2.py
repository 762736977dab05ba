"""Add what messages have changed, and in what they contradict what was known."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "hl7_2", "hl7_1"


def upgrade() -> None:
    """Add both; of messages from before nothing is known."""
    for name in ("conflict", "effects"):
        column = sa.Column(name, sa.Text, nullable=False, server_default="")
        op.add_column("hl7_messages", column)
    op.create_index("hl7_messages_conflict", "hl7_messages", ["conflict"])
