"""The table of messages that are to be sent."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "hl7_3", "hl7_2"


def upgrade() -> None:
    """Create it. What is told twice is told once."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "hl7_outgoing",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("control_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("hl7_outgoing_same", "hl7_outgoing", ["peer", "control_id"], unique=True)
    op.create_index("hl7_outgoing_next", "hl7_outgoing", ["state", "peer", "number"])
