"""The table of jobs."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "jobs_1", None


def upgrade() -> None:
    """Create it.

    One key runs once: a unique index on the running jobs says so, whatever two workers believe.
    """
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "jobs",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.Text, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("leased_until", sa.Double),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    waiting, running = sa.text("state = 'waiting'"), sa.text("state = 'running'")
    op.create_index(
        "jobs_waiting",
        "jobs",
        ["kind", sa.text("priority DESC"), "due", "number"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index(
        "jobs_due", "jobs", ["kind", "due"], sqlite_where=waiting, postgresql_where=waiting
    )
    op.create_index(
        "jobs_leased", "jobs", ["leased_until"], sqlite_where=running, postgresql_where=running
    )
    keyed = sa.text("state = 'running' AND key <> ''")
    op.create_index(
        "jobs_running_key",
        "jobs",
        ["key"],
        unique=True,
        sqlite_where=keyed,
        postgresql_where=keyed,
    )
    op.create_index("jobs_ended", "jobs", ["state", "ended"])
