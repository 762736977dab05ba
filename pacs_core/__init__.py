"""A plugin-driven DICOM archive: the kernel.

Import what you need from its floors: :mod:`pacs_core.contracts` and :mod:`pacs_core.plugins` to
write plugins, :mod:`pacs_core.association` to talk to peers, :mod:`pacs_core.testing` to test.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pacs_core.association import connect as connect

__all__ = ["connect"]


def __getattr__(name: str) -> object:
    # Lazily, so that `pacs --version` need not import what it does not use.
    if name == "connect":
        from pacs_core.association import connect

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
