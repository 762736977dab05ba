"""Add the cause that a job follows from."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "jobs_3", "jobs_2"


def upgrade() -> None:
    """Add the columns: jobs that are there follow from nothing that is known."""
    for name in ("correlation", "trace_parent"):
        op.add_column("jobs", sa.Column(name, sa.Text, nullable=False, server_default=""))
