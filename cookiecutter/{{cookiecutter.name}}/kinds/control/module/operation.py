"""The operation: what the part in the node and the command agree on."""

from attrs import frozen
from pacs_core.contracts import ControlOperation


@frozen
class Request:
    """Whose numbers are wanted.

    Attributes
    ----------
    ae_title : str
        Of a sender; empty for all.
    """

    ae_title: str = ""


@frozen
class Stored:
    """What one sender has stored in one process of the node."""

    ae_title: str
    instances: int


NAME = "{{ cookiecutter.name }}.senders"
SENDERS = ControlOperation(NAME, Request, Stored, workers="all")
