"""Parts that a node lacks, what follows, and which distributions would change that."""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_core.app.assembly import Assembly
from pacs_core.contracts import (
    IndexDescriptor,
    ObjectStoreDescriptor,
    ServiceProviderDescriptor,
)
from pacs_core.plugins import KINDS, PluginState


@frozen
class RequiredPart:
    """Something that an archive needs and a plugin provides.

    Attributes
    ----------
    what : str
        As in "no ...".
    descriptor : type
        Of what provides it.
    consequence : str
        What the node does without it.
    distributions : tuple of str
        Some that provide it.
    """

    what: str
    descriptor: type
    consequence: str
    distributions: tuple[str, ...]

    @property
    def remedy(self) -> str:
        """What to do."""
        return f"pip install {' '.join(self.distributions)}"


ESSENTIAL_PARTS: Final = (
    RequiredPart(
        "object store",
        ObjectStoreDescriptor,
        "this node archives nothing",
        ("pacs-store-filesystem",),
    ),
    RequiredPart("index", IndexDescriptor, "this node archives nothing", ("pacs-index-sqlite",)),
    RequiredPart(
        "SOP class",
        ServiceProviderDescriptor,
        "every presentation context will be refused",
        ("pacs-sop-verification", "pacs-sop-storage", "pacs-sop-query-retrieve"),
    ),
)


@frozen
class MissingPart:
    """A part that the node does not have, and the plugins that were to provide it."""

    part: RequiredPart
    quarantined: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """What is missing, and what follows."""
        return f"no {self.part.what}: {self.part.consequence}"

    @property
    def remedy(self) -> str:
        """What to do."""
        if self.quarantined:
            return f"repair {', '.join(self.quarantined)}, see pacs plugins doctor"
        return self.part.remedy

    def __str__(self) -> str:
        return f"{self.what} ({self.remedy})"


def missing_parts(assembly: Assembly) -> Iterator[MissingPart]:
    """Iterate over what the plugins of a node leave unprovided."""
    for part in ESSENTIAL_PARTS:
        entries = assembly.registry.entries(part.descriptor)
        if not any(record.state is PluginState.LOADED for record, _ in entries):
            hook = next(kind.hook for kind in KINDS if kind.descriptor is part.descriptor)
            would_provide = (
                record.name
                for record in assembly.manager.records
                if record.state is PluginState.QUARANTINED and hook in record.hooks
            )
            yield MissingPart(part, tuple(would_provide))
