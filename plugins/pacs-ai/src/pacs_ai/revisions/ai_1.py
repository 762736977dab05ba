"""The tables of requests, results and circuit breakers."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "ai_1", None


def _column(name: str, kind: type) -> "sa.Column[object]":
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    """Create them."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "ai_requests",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        *(_column(name, sa.Text) for name in ("service", "version", "study_uid")),
        # With what a request was made: the same instances, or a number of its own if made again.
        _column("fingerprint", sa.Text),
        _column("inputs", sa.Text),
        _column("priority", sa.Integer),
        _column("asked_by", sa.Text),
        _column("state", sa.Text),
        _column("attempts", sa.Integer),
        *(_column(name, sa.Text) for name in ("reason", "note")),
        *(_column(name, sa.Double) for name in ("created", "asked", "answered")),
        _column("job", sa.BigInteger),
        _column("token", sa.Text),
        _column("names", sa.Text),
        sa.UniqueConstraint("service", "version", "study_uid", "fingerprint"),
        sqlite_autoincrement=True,
    )
    op.create_index("ai_requests_study", "ai_requests", ["study_uid", "service"])
    op.create_index("ai_requests_state", "ai_requests", ["state", "created"])
    op.create_table(
        "ai_results",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        _column("request", sa.BigInteger),
        *(_column(name, sa.Text) for name in ("service", "version", "study_uid", "series_uid")),
        *(_column(name, sa.Text) for name in ("instance_uid", "sop_class_uid", "digest")),
        *(_column(name, sa.Text) for name in ("algorithm", "state", "reasons", "fixes")),
        *(_column(name, sa.Double) for name in ("arrived", "changed")),
        *(_column(name, sa.Text) for name in ("changed_by", "assessment", "assessed_by")),
        _column("assessed", sa.Double),
        *(_column(name, sa.Text) for name in ("comment", "assessment_uid")),
        _column("is_hidden", sa.Integer),
        sa.UniqueConstraint("service", "request", "digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ai_results_study", "ai_results", ["study_uid"])
    op.create_index("ai_results_instance", "ai_results", ["instance_uid"])
    op.create_index("ai_results_request", "ai_results", ["request"])
    op.create_index("ai_results_hidden", "ai_results", ["is_hidden"])
    op.create_table(
        "ai_breakers",
        sa.Column("service", sa.Text, primary_key=True),
        _column("failures", sa.Integer),
        _column("open_until", sa.Double),
        _column("reason", sa.Text),
    )
