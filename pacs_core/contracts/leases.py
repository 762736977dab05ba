"""The contract of leases: what only one of the nodes with one index does at a time.

A lease is held for a while and renewed. If its holder dies, or is cut off, its time runs out and
another takes it; no message is needed for that. The former holder may not know yet, if it was
suspended: so each time a lease is taken it has a greater token, by which whoever is written to can
tell that a later holder has been there (a fencing token).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from attrs import frozen


@frozen
class Lease:
    """A lease that somebody holds.

    Attributes
    ----------
    name : str
        What is held.
    holder : str
        Who holds it.
    token : int
        Greater than that of every earlier holder of this name.
    """

    name: str
    holder: str
    token: int


class Leases(ABC):
    """Leases that all who share an index share.

    - At each moment at most one lease of a name is held, by the clock of the index alone.
    - What a method has done when it returns every other process sees. It need not survive a power
      failure, after which no holder is alive; but no token is given twice.
    - A rebuild of the index keeps leases and tokens; :meth:`Index.clear` does not touch them.
    """

    @abstractmethod
    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take a lease for some time, if nobody else holds it.

        One who holds it already, as by a process that died, takes it again under a new token.

        Returns
        -------
        Lease or None
            None if another holds it.
        """

    @abstractmethod
    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold a lease for some time from now; tell whether it is still the one that is held.

        One whose time has run out is renewed as long as nobody has taken it.
        """

    @abstractmethod
    async def release(self, lease: Lease) -> None:
        """Let others take a lease at once; does nothing if it is not held any more."""

    @abstractmethod
    async def held(self) -> Sequence[Lease]:
        """Return the leases that are held now, by name."""
