"""The table of instances that somebody was promised, with the promises that are known."""

import json

import sqlalchemy as sa
from alembic import op

revision, down_revision = "commitment_2", "commitment_1"


def upgrade() -> None:
    """Create it, and hold what was committed to before."""
    holds = op.create_table(
        "commitment_holds",
        sa.Column("instance_uid", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
    )
    op.create_index("commitment_holds_number", "commitment_holds", ["number", "since"])
    known = sa.text(
        "SELECT number, peer, instances, failed, changed FROM commitment_transactions "
        "WHERE direction = 'received' AND state IN ('checked', 'reported')"
    )
    connection = op.get_bind()
    for number, peer, instances, failed, changed in connection.execute(known).all():
        unkept = {uid for _, uid, _ in json.loads(failed)}
        kept = {uid for _, uid in json.loads(instances)} - unkept
        rows = [
            {"instance_uid": uid, "number": number, "peer": peer, "since": changed} for uid in kept
        ]
        if rows:
            connection.execute(sa.insert(holds), rows)
