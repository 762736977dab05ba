"""Stored instances on their way to others: planned, read ahead, and sent on associations."""

from pacs_core.sending.sender import NodeSender
from pacs_core.sending.settings import PeerSettings, are_character_set_terms, is_ae_title

__all__ = ["NodeSender", "PeerSettings", "are_character_set_terms", "is_ae_title"]
