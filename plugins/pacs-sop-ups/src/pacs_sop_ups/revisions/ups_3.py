"""The columns of requests to cancel steps whose performer looks for them."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "ups_3", "ups_2"


def upgrade() -> None:
    """Add them."""
    watched = sa.Column("is_watched", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("ups_steps", watched)
    op.add_column("ups_steps", sa.Column("cancel_request", sa.Text))
