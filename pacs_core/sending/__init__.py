"""Stored instances on their way to others: planned, read ahead, and sent on associations."""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.sending.sender import NodeSender as NodeSender
    from pacs_core.sending.settings import (
        PeerSettings as PeerSettings,
        are_character_set_terms as are_character_set_terms,
        is_ae_title as is_ae_title,
    )

import_on_demand(
    __name__,
    """
.sender NodeSender
.settings PeerSettings are_character_set_terms is_ae_title
""",
)
