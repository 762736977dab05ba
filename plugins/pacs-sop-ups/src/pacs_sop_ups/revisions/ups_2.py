"""The tables of subscriptions, and of events that receivers are still to get."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "ups_2", "ups_1"


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "ups_followers",
        sa.Column("instance_uid", sa.Text, primary_key=True),
        sa.Column("receiver", sa.Text, primary_key=True),
        sa.Column("has_lock", sa.Boolean, nullable=False),
    )
    op.create_index("ups_followers_receiver", "ups_followers", ["receiver"])
    op.create_table(
        "ups_globals",
        sa.Column("receiver", sa.Text, primary_key=True),
        sa.Column("keys", sa.Text, nullable=False),
        sa.Column("has_lock", sa.Boolean, nullable=False),
    )
    op.create_table(
        "ups_outbox",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("instance_uid", sa.Text, nullable=False),
        sa.Column("event_type", sa.Integer, nullable=False),
        sa.Column("information", sa.Text, nullable=False),
        sa.Column("moment", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ups_outbox_receiver", "ups_outbox", ["receiver", "number"])
