"""Diagnosis of a peer: the connection, the association, each SOP class and transfer syntax."""

import socket
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Final

from anyio import getaddrinfo
from attrs import define, field

from pacs_core.api.commands import CommandError, Session
from pacs_core.association import AssociationError, Proposal
from pacs_core.dataset import ALL_TRANSFER_SYNTAXES, short_name_of

VERIFICATION: Final = "1.2.840.10008.1.1"
_CONTEXTS: Final = 120
"""Presentation contexts of an association: of the 128 that there may be (PS3.8 §9.3.2.2)."""

_SYNTAXES: Final = 20
"""Transfer syntaxes of a context; DCMTK does not answer a request with more than 50 in one."""


@define
class Diagnosis:
    """What was found out about a peer.

    Attributes
    ----------
    session : Session
    sop_classes : sequence of str
        What to ask for.
    tell : callable
        Is told of each step that is done, and what the peer said.
    accepted : dict of str to list of str
        Transfer syntaxes by SOP class.
    """

    session: Session
    sop_classes: Sequence[str]
    tell: Callable[[str], None]
    accepted: dict[str, list[str]] = field(factory=dict)

    async def run(self) -> None:
        """Ask the peer.

        Raises
        ------
        CommandError
            It is not there, or refuses; the message says at which step.
        """
        await self._resolve()
        every = tuple(syntax.uid for syntax in ALL_TRANSFER_SYNTAXES)
        try:
            await self._echo()
            parts = [every[start : start + _SYNTAXES] for start in range(0, len(every), _SYNTAXES)]
            found = await self._ask(
                [Proposal(uid, part) for uid in self.sop_classes for part in parts]
            )
            single = [Proposal(uid, (syntax,)) for uid in found for syntax in every]
            self.accepted = await self._ask(single)
        except AssociationError as error:
            raise self.session.failure(error) from error
        self.tell(f"{len(self.accepted)} of {len(self.sop_classes)} SOP classes are accepted")

    async def _resolve(self) -> None:
        peer = self.session.peer
        try:
            found = await getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise CommandError(f"{peer.host}: the name has no address: {error.strerror}") from error
        addresses = sorted({str(address[4][0]) for address in found})
        self.tell(f"{peer.host} is {', '.join(addresses)}")

    async def _echo(self) -> None:
        start = perf_counter()
        async with self.session.associate([Proposal(VERIFICATION)]) as association:
            self.tell(f"associated in {_milliseconds(start)}")
            info = association.info
            self.tell(f"its PDUs may have {info.maximum_length or 'any number of'} bytes")
            if info.tls is not None:
                self.tell(f"secured: {info.tls}")
            start = perf_counter()
            response = await association.c_echo()
            self.tell(f"C-ECHO: {response.status:04X}H in {_milliseconds(start)}")

    async def _ask(self, proposals: Sequence[Proposal]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for start in range(0, len(proposals), _CONTEXTS):
            offered = proposals[start : start + _CONTEXTS]
            async with self.session.associate(offered) as association:
                for context in association.contexts.values():
                    found.setdefault(context.abstract_syntax, []).append(context.transfer_syntax)
        return found

    def named(self) -> Iterator[tuple[str, list[str]]]:
        """Iterate over accepted SOP classes, with names of their transfer syntaxes."""
        for uid, syntaxes in self.accepted.items():
            yield uid, [short_name_of(each) or each for each in syntaxes]


def _milliseconds(start: float) -> str:
    return f"{1000 * (perf_counter() - start):.1f} ms"
