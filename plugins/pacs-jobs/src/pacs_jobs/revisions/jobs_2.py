"""An index of the waiting jobs of each key."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "jobs_2", "jobs_1"


def upgrade() -> None:
    """Create it: jobs whose key is running are passed over key by key."""
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "jobs_waiting_key",
        "jobs",
        ["kind", "key", sa.text("priority DESC"), "due", "number"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
