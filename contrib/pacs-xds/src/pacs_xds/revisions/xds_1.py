"""The table of registrations."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "xds_1", None


def upgrade() -> None:
    """Create it. A document is registered under its UID once."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "xds_registrations",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("study_instance_uid", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("document_uid", sa.Text, nullable=False, unique=True),
        sa.Column("entry_uuid", sa.Text, nullable=False),
        sa.Column("submission_uid", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
        sa.Column("replaces", sa.Text, nullable=False),
        sa.Column("patient_id", sa.Text, nullable=False),
        sa.Column("instances", sa.Integer, nullable=False),
        sa.Column("modalities", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("xds_registrations_study", "xds_registrations", ["study_instance_uid"])
    op.create_index("xds_registrations_state", "xds_registrations", ["state"])
