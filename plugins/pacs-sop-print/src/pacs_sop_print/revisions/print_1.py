"""The table of print jobs."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "print_1", None


def upgrade() -> None:
    """Create it."""
    texts = ("folder", "state", "info", "error", "priority", "label", "originator")
    op.create_table(
        "print_jobs",
        sa.Column("uid", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("films", sa.Integer, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
    )
    op.create_index("print_jobs_state", "print_jobs", ["state", "changed"])
