"""Names of patients as they are compared, beside the order of the list.

What an older version has written has no name, and is looked at as a whole.
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "worklist_2", "worklist_1"


def upgrade() -> None:
    """Add the column, and have it in the index that has the order."""
    op.add_column("worklist_steps", sa.Column("patient_name", sa.Text, nullable=True))
    columns = ["is_open", "start", "number", "patient_name"]
    op.create_index("worklist_start_name", "worklist_steps", columns)
    op.drop_index("worklist_start", "worklist_steps")
