"""The table of what is thought of single findings of results."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "ai_3", "ai_2"


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "ai_findings",
        sa.Column("result", sa.BigInteger, primary_key=True),
        # Its UID, or the number of a segment without one.
        sa.Column("finding", sa.Text, primary_key=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("service", "version", "assessment", "assessed_by", "comment")
        ),
        sa.Column("assessed", sa.Double, nullable=False),
    )
