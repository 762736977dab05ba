"""Checks of what every archive needs: its store, its index, and room on its disks.

Store and index are asked for something that is not there, which takes the way of any other request:
a mount that is gone, a database that does not answer, or a lock that is never released shows.
"""

from collections.abc import Iterator
from typing import Final

from anyio import to_thread
from attrs import frozen

from pacs_core.app.archive import OpenArchive
from pacs_core.archive import SpaceWatch
from pacs_core.contracts import (
    HealthCheck,
    Index,
    InstancePath,
    ObjectNotFoundError,
    ObjectStore,
)

_NOWHERE: Final = InstancePath("2.25.0", "2.25.0")
"""A path that no instance has: the UID of the nil UUID (PS3.5 B.2)."""


@frozen(eq=False)
class StoreCheck(HealthCheck):
    """Looks for an object that is not there, and whether directories are those that there were."""

    store: ObjectStore
    name: str = "store"

    async def check(self) -> str:
        """See base."""
        for directory in self.store.directories:
            if not await to_thread.run_sync(directory.is_dir, abandon_on_cancel=True):
                return f"{directory} is not there"
        try:
            reader = await self.store.open("2.25.0/2.25.0/2.25.0.dcm")
        except ObjectNotFoundError:
            return ""
        await reader.close()
        return ""


@frozen(eq=False)
class IndexCheck(HealthCheck):
    """Looks for an instance that is not there."""

    index: Index
    name: str = "index"

    async def check(self) -> str:
        """See base."""
        await self.index.locate(_NOWHERE)
        return ""


@frozen(eq=False)
class RoomCheck(HealthCheck):
    """Looks whether instances would be refused for want of room."""

    space: SpaceWatch
    name: str = "room"

    async def check(self) -> str:
        """See base."""
        return self.space.refusal


def archive_checks(opened: OpenArchive) -> Iterator[HealthCheck]:
    """Yield the checks of an archive that is open."""
    if opened.store is not None and opened.index is not None:
        yield StoreCheck(opened.store)
        yield IndexCheck(opened.index)
        yield RoomCheck(opened.space)
