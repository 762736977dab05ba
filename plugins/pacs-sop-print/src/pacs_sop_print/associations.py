"""Associations that print, shared by who serves them and who reports to them."""

from pacs_core.contracts import Component
from pacs_sop_print.session import Printing


class OpenAssociations(Component):
    """The associations of this worker that print, by identifier."""

    def __init__(self) -> None:
        self.printing: dict[str, Printing] = {}
