"""Tiers of a store: which of them has an object, and what cannot be asked."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from pacs_core.contracts import Availability, InstanceIdentity, NotOnlineError, ObjectStore

_log = logging.getLogger(__name__)

_GONE: Final = Availability.UNAVAILABLE
_OFFLINE_RANK: Final = Availability.OFFLINE.rank
_SAMPLE: Final = InstanceIdentity("1.2.3", "1.2.4", "1.2.5", "1.2.840.10008.5.1.4.1.1.2")


class Tiers:
    """Stores that are asked from the top.

    Parameters
    ----------
    by_name : mapping of str to ObjectStore
        From the top; at least two.
    nearline, offline : collection of str
        Tiers from which nobody reads directly, and those that are not asked.

    Attributes
    ----------
    names : list of str
    stores : list of ObjectStore
    nearline, offline : set of int
        Places of those tiers, from 0.
    """

    def __init__(
        self,
        by_name: Mapping[str, ObjectStore],
        nearline: Collection[str] = (),
        offline: Collection[str] = (),
    ) -> None:
        self.names = list(by_name)
        self.stores = list(by_name.values())
        self.nearline = {self.names.index(name) for name in nearline}
        self.offline = {self.names.index(name) for name in offline}

    def check_keys(self) -> None:
        """Compare the keys that the tiers make.

        Raises
        ------
        ValueError
            They differ.
        """
        writers = [store.writer(_SAMPLE) for store in self.stores]
        keys = [each.key("0a") for each in writers]
        if len(set(keys)) > 1:
            said = ", ".join(f"{name} {key!r}" for name, key in zip(self.names, keys, strict=True))
            raise ValueError(f"the tiers must make the same keys; give them one layout: {said}")

    def why_away(self, place: int) -> str:
        """Return why a tier tells nothing."""
        return f"the tier {self.names[place]} cannot be asked"

    async def ask(self, place: int, keys: Sequence[str]) -> Sequence[Availability]:
        """Ask one tier; a lower one that does not answer is offline."""
        if not keys:
            return []
        if place in self.offline:
            return [Availability.OFFLINE] * len(keys)
        try:
            found = await self.stores[place].availability(keys)
        except OSError as error:
            if not place:
                raise
            _log.warning("%s: %s", self.why_away(place), error)
            return [Availability.OFFLINE] * len(keys)
        return [_at_most_nearline(each) for each in found] if place in self.nearline else found

    async def availability(self, keys: Sequence[str]) -> Sequence[Availability]:
        """Return the best that a tier has of each object."""
        best = dict.fromkeys(keys, _GONE)
        for place in range(len(self.stores)):
            missing = [key for key, found in best.items() if found.rank >= _OFFLINE_RANK]
            for key, found in zip(missing, await self.ask(place, missing), strict=True):
                best[key] = min(best[key], found, key=lambda each: each.rank)
        return [best[key] for key in keys]

    async def places(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the highest tier that has each object; what is out of reach is left out."""
        found: dict[str, str] = {}
        for place, name in enumerate(self.names):
            missing = [key for key in keys if key not in found]
            told = zip(missing, await self.ask(place, missing), strict=True)
            found |= {key: name for key, each in told if each.rank < _OFFLINE_RANK}
        return found

    async def has_below(self, key: str) -> bool:
        """Tell whether a tier below the top has an object, as far as they can be asked."""
        for place in range(1, len(self.stores)):
            if (await self.ask(place, [key]))[0] not in (_GONE, Availability.OFFLINE):
                return True
        return False

    async def refuse_nearline(self, place: int, key: str) -> None:
        """Raise NotOnlineError if a tier, from which nobody reads directly, has an object."""
        (found,) = await self.stores[place].availability([key])
        if found is not _GONE:
            raise NotOnlineError(key, _at_most_nearline(found), f"it is {self.names[place]}")


def _at_most_nearline(availability: Availability) -> Availability:
    return Availability.NEARLINE if availability is Availability.ONLINE else availability
