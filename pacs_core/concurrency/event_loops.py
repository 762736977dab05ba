"""Event loops: uvloop's, where it is installed and nobody has turned it off."""

import os
from functools import cache
from typing import Final

from attrs import frozen

OFF: Final = "PACS_NO_UVLOOP"
"""Environment variable: event loops are asyncio's own if it is set, to anything but 0."""


@frozen
class EventLoop:
    """The kind of event loop that nodes and commands run in.

    Attributes
    ----------
    uvloop : bool
        Whether it is uvloop's; else it is asyncio's own.
    detail : str
        Its version, or why it is not used, as a clause.
    """

    uvloop: bool
    detail: str

    def __str__(self) -> str:
        return f"event loop of {'uvloop' if self.uvloop else 'asyncio'}: {self.detail}"


def event_loop() -> EventLoop:
    """Return what event loops of this process are."""
    if os.environ.get(OFF, "0") not in {"", "0"}:
        return EventLoop(False, f"{OFF} is set")
    return _installed()


@cache
def _installed() -> EventLoop:
    try:
        from uvloop import __version__  # type: ignore[attr-defined] # it may not fit this Python
    except ModuleNotFoundError:
        return EventLoop(False, "uvloop is not installed")
    except Exception as error:  # what is foreign may raise anything
        return EventLoop(False, f"uvloop is of no use ({type(error).__name__}: {error})")
    return EventLoop(True, f"uvloop {__version__}")


def loop_options() -> dict[str, bool]:
    """Return options of anyio's backend for the event loop of a node or command."""
    return {"use_uvloop": event_loop().uvloop}
