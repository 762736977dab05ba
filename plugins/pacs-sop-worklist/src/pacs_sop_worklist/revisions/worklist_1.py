"""The tables of scheduled procedure steps and of their stations."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "worklist_1", None


def upgrade() -> None:
    """Create them."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "worklist_steps",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("identity", sa.Text, nullable=False, unique=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("start", sa.Text, nullable=False),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("patient_id", sa.Text, nullable=False),
        sa.Column("accession_number", sa.Text, nullable=False),
        sa.Column("study_uid", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("performed", sa.Text, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    for name in ("start", "patient_id", "accession_number"):
        op.create_index(f"worklist_{name}", "worklist_steps", ["is_open", name, "number"])
    op.create_index("worklist_study_uid", "worklist_steps", ["study_uid"])
    op.create_index("worklist_source", "worklist_steps", ["source"])
    op.create_index("worklist_performed", "worklist_steps", ["performed"])
    op.create_table(
        "worklist_stations",
        sa.Column("ae_title", sa.Text, primary_key=True),
        sa.Column("is_open", sa.Boolean, primary_key=True),
        sa.Column("start", sa.Text, primary_key=True),
        sa.Column(
            "number",
            number,
            sa.ForeignKey("worklist_steps.number", ondelete="CASCADE"),
            primary_key=True,
        ),
    )
    op.create_index("worklist_stations_number", "worklist_stations", ["number"])
