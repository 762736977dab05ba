"""The tables of performed steps, of what they were scheduled as, and of messages to peers."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "mpps_1", None


def upgrade() -> None:
    """Create them."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "mpps_steps",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("instance_uid", sa.Text, nullable=False, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("patient_id", sa.Text, nullable=False),
        sa.Column("character_set", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("mpps_steps_state", "mpps_steps", ["state", "changed"])
    op.create_index("mpps_steps_patient_id", "mpps_steps", ["patient_id", "number"])
    op.create_table(
        "mpps_scheduled",
        sa.Column(
            "number",
            number,
            sa.ForeignKey("mpps_steps.number", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("accession_number", sa.Text, nullable=False),
        sa.Column("step_id", sa.Text, nullable=False),
    )
    op.create_index("mpps_scheduled_study_uid", "mpps_scheduled", ["study_uid"])
    op.create_index("mpps_scheduled_accession_number", "mpps_scheduled", ["accession_number"])
    op.create_table(
        "mpps_outbox",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("instance_uid", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("event_type", sa.Integer, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "mpps_outbox_instance_uid", "mpps_outbox", ["instance_uid", "channel", "peer", "number"]
    )
