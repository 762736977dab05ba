"""The table of messages."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "hl7_1", None


def upgrade() -> None:
    """Create it. A message that is sent again is the same one."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "hl7_messages",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("received", sa.Double, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("control_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "hl7_messages_same", "hl7_messages", ["control_id", "sender", "digest"], unique=True
    )
    op.create_index("hl7_messages_state", "hl7_messages", ["state", "received"])
    op.create_index("hl7_messages_patient", "hl7_messages", ["patient"])
