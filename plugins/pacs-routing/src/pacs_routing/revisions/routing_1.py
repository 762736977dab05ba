"""The tables of deliveries and lanes."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "routing_1", None


def upgrade() -> None:
    """Create them."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "routing_deliveries",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("lane", sa.Integer, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("instance_uid", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("deidentify", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("is_ordered", sa.Boolean, nullable=False),
        sa.Column("is_committed", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("sent_uid", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
        sa.UniqueConstraint("study_uid", "instance_uid", "peer", "version", "deidentify"),
        sqlite_autoincrement=True,
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "routing_waiting",
        "routing_deliveries",
        ["peer", "lane", sa.text("priority DESC"), "number"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index(
        "routing_waiting_studies",
        "routing_deliveries",
        ["peer", "study_uid", "number"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index("routing_changed", "routing_deliveries", ["state", "changed"])
    op.create_table(
        "routing_lanes",
        sa.Column("peer", sa.Text, primary_key=True),
        sa.Column("lane", sa.Integer, primary_key=True),
        sa.Column("job", sa.BigInteger, nullable=False),
    )
