"""Tables of studies, holds and the bin."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "lifecycle_1", None


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False)


def _moment(name: str) -> "sa.Column[float]":
    return sa.Column(name, sa.Double, nullable=False)


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "lifecycle_studies",
        sa.Column("uid", sa.Text, primary_key=True),
        _moment("arrived"),
        sa.Column("complete", sa.Boolean, nullable=False),
    )
    op.create_index("lifecycle_studies_arrived", "lifecycle_studies", ["arrived", "uid"])
    op.create_table(
        "lifecycle_holds",
        sa.Column("study", sa.Text, primary_key=True),
        _text("reason"),
        _text("held_by"),
        _moment("since"),
    )
    op.create_table(
        "lifecycle_bin",
        sa.Column("key", sa.Text, primary_key=True),
        _text("study"),
        _text("series"),
        _text("instance"),
        _text("sop_class"),
        _text("transfer_syntax"),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("dataset_offset", sa.Integer, nullable=False),
        _text("digest"),
        _text("corrections"),
        _text("came"),
        _text("patient"),
        _moment("deleted"),
        _text("deleted_by"),
        _text("state"),
        _moment("since"),
    )
    op.create_index("lifecycle_bin_study", "lifecycle_bin", ["study", "key"])
    op.create_index("lifecycle_bin_deleted", "lifecycle_bin", ["deleted"])
    op.create_table(
        "lifecycle_bin_aside",
        sa.Column("key", sa.Text, primary_key=True),
        _text("owner"),
    )
    op.create_index("lifecycle_bin_aside_owner", "lifecycle_bin_aside", ["owner"])
