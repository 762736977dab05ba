"""The table of studies."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "tiered_1", None


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "tiered_studies",
        sa.Column("uid", sa.Text, primary_key=True),
        sa.Column("arrived", sa.Double, nullable=False),
        sa.Column("used", sa.Double, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("pinned", sa.Text, nullable=False),
    )
    op.create_index("tiered_studies_used", "tiered_studies", ["used", "uid"])
