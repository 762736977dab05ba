# ruff: noqa: D102 - the names of the tests are their documentation
"""The contracts of access parts as tests: inherit, and give examples of who may do what.

Example
-------
::

    class TestRules(AuthorizerContract):
        allowed = (Access("query", Origin("DIMSE", "WORKSTATION")),)
        denied = (Access("delete", Origin("DIMSE", "WORKSTATION")),)
        restricted = (Access("retrieve", Origin("DIMSE", "STUDENT")),)

        @pytest.fixture
        def descriptor(self) -> AccessDescriptor:
            return pacs_access(Setup(NodeSettings(), {Config: Config(...)}))[0]
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import anyio
import pytest

from pacs_core.contracts import (
    Access,
    AccessAction,
    AccessDescriptor,
    AccessTarget,
    Allow,
    AssociationInfo,
    AssociationObserver,
    Authenticated,
    Authenticator,
    Authorizer,
    Component,
    Deny,
    Level,
    Node,
    NodeSettings,
    Origin,
    Principal,
    Query,
    Refused,
    Restrict,
    admits,
    restricted_tags,
)
from pacs_core.dimse import Command, CommandField
from pacs_core.testing.datasets import MODALITIES, SampleStudy
from pacs_core.testing.operations import memory_node
from pacs_core.upper_layer import (
    AcceptedContext,
    AssociateRQ,
    ProposedContext,
    UserIdentity,
    UserInformation,
)

PartT = TypeVar("PartT", bound=Component)

PATIENCE: Final = 60.0
"""Seconds for whatever should take none."""

PASSCODE: Final = b"correct horse battery staple"
"""Of the user identities that the suite presents: no message may have it."""

CT: Final = "1.2.840.10008.5.1.4.1.1.2"
_CONTEXT: Final = ProposedContext(1, CT, ("1.2.840.10008.1.2.1",))

ORIGINS: Final = (
    Origin("DIMSE", "ANYONE", "PACS", "192.0.2.1", 4711),
    Origin("DIMSE", "", "", "", 0),
    Origin("DIMSE", "A" * 16, "PACS", "2001:db8::1", 65535),
    Origin("web", principal=Principal("")),
    Origin("web", host="x" * 1000, principal=Principal("\u202e" + "n" * 10_000, method="jwt")),
    Origin("import", principal=Principal("'; --", frozenset({"", "*", "\0"}), "local", {"a": "b"})),
)
"""Who may come: known to nobody, and partly odd."""

TARGETS: Final = (
    AccessTarget(),
    AccessTarget(CT, "DESTINATION", Command(field=CommandField.C_MOVE_RQ, message_id=1)),
    AccessTarget("1" * 64, "\\*?"),
)


def sample_accesses() -> Iterator[Access]:
    """Iterate over everything that may be asked: each action, and one of a plugin, by anyone."""
    actions = [*AccessAction, "acme.calibrate"]
    for action, origin, target in product(actions, ORIGINS, TARGETS):
        yield Access(action, origin, target)


def sample_requests() -> Iterator[AssociateRQ]:
    """Iterate over requests with every form of user identity, none, and one that does not exist."""
    primaries = (b"", b"user", b"\xff\xfe\0", b"x" * 65_535)
    identities: list[UserIdentity | None] = [
        UserIdentity(kind, True, primary, PASSCODE if kind == 2 else b"")
        for kind in (1, 2, 3, 4, 5, 99)
        for primary in primaries
    ]
    for identity in [None, *identities]:
        information = UserInformation(user_identity=identity)
        yield AssociateRQ("PACS", "ANYONE", (_CONTEXT,), information)


class _AccessPart:
    """What the suites of all parts have in common."""

    pytestmark = pytest.mark.anyio

    part: str

    @pytest.fixture
    def descriptor(self) -> AccessDescriptor:
        """Return the descriptor of the part."""
        raise NotImplementedError("define the fixture `descriptor`")

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        """Return the node that the part is created for; its archive is empty."""
        return memory_node(NodeSettings(data_directory=tmp_path))

    def _create(self, descriptor: AccessDescriptor, node: Node) -> Any:
        create = getattr(descriptor, self.part)
        assert create is not None, f"the descriptor has no {self.part}"
        return create(node)

    @asynccontextmanager
    async def _running(self, descriptor: AccessDescriptor, node: Node) -> AsyncIterator[Any]:
        component = self._create(descriptor, node)
        try:
            await component.start()
            yield component
        finally:
            await component.stop()

    async def test_stopping_what_was_not_started(
        self, descriptor: AccessDescriptor, node: Node
    ) -> None:
        await self._create(descriptor, node).stop()

    async def test_creating_gives_a_part_each_time(
        self, descriptor: AccessDescriptor, node: Node
    ) -> None:
        first, second = self._create(descriptor, node), self._create(descriptor, node)
        assert isinstance(first, _PARTS[self.part])
        assert first is not second

    async def test_it_starts_again_where_another_ended(
        self, descriptor: AccessDescriptor, node: Node
    ) -> None:
        for _ in range(2):
            async with self._running(descriptor, node):
                await anyio.lowlevel.checkpoint()


_PARTS: Final[dict[str, type[Component]]] = {
    "authenticator": cast(type[Component], Authenticator),
    "authorizer": cast(type[Component], Authorizer),
    "observer": AssociationObserver,
}


class AuthorizerContract(_AccessPart):
    """What every authorizer must do: judge whatever is asked, soon, and so that it can be applied.

    Subclass it in a test module, define the fixture ``descriptor``, and give examples.
    """

    part = "authorizer"

    allowed: Sequence[Access] = ()
    """What may be done, without restriction."""
    denied: Sequence[Access] = ()
    """What may not be done."""
    restricted: Sequence[Access] = ()
    """What may be done with some instances."""

    @pytest.fixture
    async def authorizer(
        self, descriptor: AccessDescriptor, node: Node
    ) -> AsyncIterator[Authorizer]:
        """Return a running authorizer."""
        async with self._running(descriptor, node) as authorizer:
            yield authorizer

    def test_there_are_examples(self) -> None:
        assert self.allowed or self.restricted, "nobody may do anything: give examples"
        assert self.denied or self.restricted, "everybody may do everything: give examples"

    async def test_its_examples(self, authorizer: Authorizer) -> None:
        expected = {Allow: self.allowed, Deny: self.denied, Restrict: self.restricted}
        for kind, accesses in expected.items():
            for access in accesses:
                verdict = await authorizer.authorize(access)
                assert isinstance(verdict, kind), (access, verdict)

    async def test_whatever_is_asked_is_judged(self, authorizer: Authorizer) -> None:
        with anyio.fail_after(PATIENCE):
            for access in sample_accesses():
                assert isinstance(await authorizer.authorize(access), Allow | Deny | Restrict)

    async def test_many_ask_at_the_same_time(self, authorizer: Authorizer) -> None:
        judged = []

        async def ask(access: Access) -> None:
            judged.append(await authorizer.authorize(access))

        accesses = [*self.allowed, *self.denied, *self.restricted, *sample_accesses()][:100]
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for access in accesses:
                    tasks.start_soon(ask, access)
        assert len(judged) == len(accesses)

    async def test_who_stops_asking_leaves_it_usable(self, authorizer: Authorizer) -> None:
        access = next(sample_accesses())
        for _ in range(3):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(authorizer.authorize, access)
                tasks.cancel_scope.cancel()
        with anyio.fail_after(PATIENCE):
            await authorizer.authorize(access)

    async def test_denials_say_why_in_one_line(self, authorizer: Authorizer) -> None:
        """The reason goes to the peer, as Error Comment (0000,0902), and into the log."""
        for access in (*self.denied, *sample_accesses()):
            verdict = await authorizer.authorize(access)
            if isinstance(verdict, Deny):
                assert verdict.reason.strip()
                assert verdict.reason.isprintable()

    async def test_restrictions_can_be_applied(self, authorizer: Authorizer, node: Node) -> None:
        """To instances of every modality, and by an index that keeps what they are about."""
        samples = [SampleStudy().make(modality).attributes for modality in MODALITIES]
        for access in (*self.restricted, *sample_accesses()):
            verdict = await authorizer.authorize(access)
            if not isinstance(verdict, Restrict):
                continue
            assert verdict.conditions, "a restriction without conditions is none: use Allow"
            computed = {tag for tag in restricted_tags(verdict.conditions) if tag in COMPUTED}
            assert not computed, "values that an index works out cannot restrict"
            for attributes in samples:
                for condition in verdict.conditions:
                    assert isinstance(admits(condition, attributes), bool)
            query = Query(Level.STUDY, restrictions=verdict.conditions)
            assert [found async for found in node.archive.search(query)] == []


COMPUTED: Final = frozenset(
    {
        0x0008_0061,  # Modalities in Study
        0x0008_0062,  # SOP Classes in Study
        *range(0x0020_1200, 0x0020_120A, 2),  # Number of ... Related ...
    }
)
"""Attributes that an index works out from others (PS3.4 C.3.4)."""


class AuthenticatorContract(_AccessPart):
    """What every authenticator must do: judge every request, and give no secret away.

    Subclass it in a test module, define the fixture ``descriptor``, and give examples.
    """

    part = "authenticator"

    accepted: Sequence[tuple[AssociateRQ, str]] = ()
    """Requests of peers that may associate, and the names of their principals; empty for none."""
    refused: Sequence[AssociateRQ] = ()
    """Requests that are refused."""

    @pytest.fixture
    async def authenticator(
        self, descriptor: AccessDescriptor, node: Node
    ) -> AsyncIterator[Authenticator]:
        """Return a running authenticator."""
        async with self._running(descriptor, node) as authenticator:
            yield authenticator

    def test_there_are_examples(self) -> None:
        assert self.accepted or self.refused, "give examples of who is accepted or refused"

    async def test_its_examples(self, authenticator: Authenticator) -> None:
        for request, name in self.accepted:
            judged = await authenticator.authenticate(request, origin_of(request))
            assert isinstance(judged, Authenticated)
            assert (judged.principal.name if judged.principal else "") == name
        for request in self.refused:
            judged = await authenticator.authenticate(request, origin_of(request))
            assert isinstance(judged, Refused)

    async def test_whoever_comes_is_judged(self, authenticator: Authenticator) -> None:
        with anyio.fail_after(PATIENCE):
            for request in sample_requests():
                judged = await authenticator.authenticate(request, origin_of(request))
                assert judged is None or isinstance(judged, Authenticated | Refused)

    async def test_many_come_at_the_same_time(self, authenticator: Authenticator) -> None:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for request in sample_requests():
                    tasks.start_soon(authenticator.authenticate, request, origin_of(request))

    async def test_nothing_that_is_said_has_a_passcode(self, authenticator: Authenticator) -> None:
        """A principal is logged and audited, and so is the reason of a refusal."""
        for request in sample_requests():
            judged = await authenticator.authenticate(request, origin_of(request))
            assert PASSCODE.decode() not in repr(judged)
            if isinstance(judged, Refused):
                assert judged.reason.isprintable()
                assert judged.reason.strip()

    async def test_refusals_are_those_of_the_standard(self, authenticator: Authenticator) -> None:
        """PS3.8 Table 9-21."""
        for request in (*self.refused, *sample_requests()):
            judged = await authenticator.authenticate(request, origin_of(request))
            if isinstance(judged, Refused):
                rejection = judged.rejection
                assert rejection.result in {1, 2}
                assert (rejection.source, rejection.reason) in _REASONS


_REASONS: Final = {
    *((1, reason) for reason in (1, 2, 3, 7)),
    *((2, reason) for reason in (1, 2)),
    *((3, reason) for reason in (1, 2)),
}


def origin_of(request: AssociateRQ) -> Origin:
    """Return who has sent a request."""
    return Origin(
        "DIMSE", request.calling_ae_title, request.called_ae_title, "192.0.2.1", 4711,
        association="A1",
    )  # fmt: skip


class ObserverContract(_AccessPart):
    """What every observer of associations must do: put up with all that comes and goes."""

    part = "observer"

    @pytest.fixture
    async def observer(
        self, descriptor: AccessDescriptor, node: Node
    ) -> AsyncIterator[AssociationObserver]:
        """Return a running observer."""
        async with self._running(descriptor, node) as observer:
            yield observer

    def _association(self, number: int) -> AssociationInfo:
        request = list(sample_requests())[number % 3]
        contexts = {1: AcceptedContext(1, CT, "1.2.840.10008.1.2.1", scu=True, scp=False)}
        origin = ORIGINS[number % len(ORIGINS)]
        return AssociationInfo(f"A{number}", origin, request, contexts, is_requestor=number % 2 > 0)

    async def test_associations_come_and_go(self, observer: AssociationObserver) -> None:
        with anyio.fail_after(PATIENCE):
            for number in range(20):
                await observer.accepted(self._association(number))
            for number in reversed(range(20)):
                await observer.ended(self._association(number), "released")

    async def test_associations_end_that_it_has_not_heard_of(
        self, observer: AssociationObserver
    ) -> None:
        with anyio.fail_after(PATIENCE):
            await observer.ended(self._association(99), "the transport was lost: \u202e")
