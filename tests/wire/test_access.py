"""Plugins that guard and watch associations, and what is negotiated beside contexts."""

import sys
from types import ModuleType

import anyio
import pytest
from importlib_metadata import EntryPoint

from pacs_core.association import AssociationOptions, AssociationRefusedError, Proposal, connect
from pacs_core.contracts import (
    AccessAction,
    AccessDescriptor,
    Allow,
    AssociationObserver,
    Authenticated,
    Authenticator,
    Authorizer,
    Deny,
    Principal,
    Refused,
    Response,
    Restrict,
    ServiceProvider,
    ServiceProviderDescriptor,
    SingleValue,
    SopClassSupport,
)
from pacs_core.plugins import hookimpl
from pacs_core.testing.node import node_thread, usual_plugins
from pacs_core.upper_layer import (
    NO_REASON_GIVEN,
    AsynchronousOperations,
    ExtendedNegotiation,
    UserIdentity,
    UserIdentityType,
    decode,
    encode,
)

pytestmark = pytest.mark.anyio

PRIVATE = "2.25.1001"
"""A SOP class whose answers come in reverse order."""
BROKEN = "2.25.1002"
"""A SOP class whose provider does everything wrong."""
EXPLICIT = ("1.2.840.10008.1.2.1",)


_USERS = ((b"ward", b"s3cret"), (b"guest", b""), (b"student", b""))


class Passcodes(Authenticator):
    async def authenticate(self, request, origin):
        identity = request.user_information.user_identity
        if identity is None:
            return None
        if identity.primary == b"crash":
            raise RuntimeError("no database")
        if (identity.primary, identity.secondary) not in _USERS:
            return Refused(NO_REASON_GIVEN, "wrong passcode")
        return Authenticated(Principal(identity.primary.decode()), b"welcome")


class GuestsRead(Authorizer):
    async def authorize(self, access):
        if access.action == AccessAction.ECHO:
            return Allow()
        if access.origin.calling_ae_title == "CRASH":
            raise RuntimeError("no database")
        if access.origin.calling_ae_title == "MUTE":
            return None
        if access.origin.user == "student":
            return Restrict((SingleValue(0x0008_0060, "CT"),))
        return Deny("guests only read") if access.origin.user == "guest" else Allow()


class Watch(AssociationObserver):
    seen: list[tuple[str, ...]] = []

    async def accepted(self, association):
        self.seen.append(("accepted", association.origin.user))
        if association.origin.calling_ae_title == "CRASH":
            raise RuntimeError("observer")

    async def ended(self, association, reason):
        self.seen.append(("ended", association.origin.user, reason))


class Reversed(ServiceProvider):
    """Answers four requests at once, the last first; reads none but the last one's dataset."""

    def __init__(self):
        self.turns = []

    async def handle(self, operation):
        turn = anyio.Event()
        self.turns.append(turn)
        await operation.dataset.read(1 << 20)
        if len(self.turns) < 4:
            await turn.wait()
        if (index := self.turns.index(turn)) > 0:
            self.turns[index - 1].set()
        else:
            self.turns.clear()
        return Response(0x0000)

    def negotiate(self, sop_class_uid, application_information):
        return application_information[::-1]


class Broken(ServiceProvider):
    """Raises, or returns what is no response, as the SOP Instance UID says."""

    async def handle(self, operation):
        await operation.dataset.read(1 << 20)
        answers = {
            "1.1": Response(0x12345678),
            "1.2": Response(0x0000, affected_sop_instance_uid="x" * 80),
            "1.3": None,
        }
        return answers[operation.command.affected_sop_instance_uid]

    def negotiate(self, sop_class_uid, application_information):
        raise RuntimeError("cannot negotiate")


def _plugin():
    module = ModuleType("wire_access_plugin")

    @hookimpl
    def pacs_access(setup):
        return [
            AccessDescriptor(
                "guard",
                authenticator=lambda node: Passcodes(),
                authorizer=lambda node: GuestsRead(),
                observer=lambda node: Watch(),
            )
        ]

    @hookimpl
    def pacs_service_providers(setup):
        support = SopClassSupport(EXPLICIT)
        return [
            ServiceProviderDescriptor("reversed", {PRIVATE: support}, lambda node: Reversed()),
            ServiceProviderDescriptor("broken", {BROKEN: support}, lambda node: Broken()),
        ]

    module.pacs_access = pacs_access
    module.pacs_service_providers = pacs_service_providers
    return module


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "wire_access_plugin", _plugin())
        manager = usual_plugins(EntryPoint("access", "wire_access_plugin", "pacs_core.plugins"))
        tables = {"network": {"operations_window": 4}}
        with node_thread(tmp_path_factory.mktemp("node") / "data", tables, manager) as node:
            yield node


def identity(user: bytes, passcode: bytes = b"", *, respond: bool = True) -> UserIdentity:
    return UserIdentity(UserIdentityType.USERNAME_AND_PASSCODE, respond, user, passcode)


# --- user identity (PS3.7 §D.3.3.7)


@pytest.mark.parametrize("respond", [True, False])
def test_user_is_let_in(wire, dial, node, eventually, respond):
    """The response comes if it was asked for, and only then (PS3.7 §D.3.3.7.2)."""
    Watch.seen.clear()
    user = identity(b"ward", b"s3cret", respond=respond)
    peer = dial().send(encode(wire.request(user_identity=user)))
    answer = decode(peer.read_pdu())
    assert answer.user_information.user_identity_response == (b"welcome" if respond else None)
    peer.release()
    eventually(lambda: ("ended", "ward", "released by the peer") in Watch.seen)
    assert Watch.seen[0] == ("accepted", "ward")


@pytest.mark.parametrize(
    ("user", "passcode", "reason"),
    [(b"ward", b"wrong", "wrong passcode"), (b"nobody", b"", "wrong passcode")],
)
def test_user_is_refused(wire, dial, recorded, user, passcode, reason):
    """PS3.7 §D.3.3.7.2: a rejection without reason, so that nobody learns which part is wrong."""
    peer = dial().send(encode(wire.request(user_identity=identity(user, passcode))))
    assert peer.read_pdu() == wire.reject(1, 1, 1)
    recorded(peer, "association-refused", reason)


def test_passcodes_are_not_written_down(wire, dial, node, caplog, recorded):
    peer = dial().send(encode(wire.request(user_identity=identity(b"ward", b"hunter2"))))
    assert peer.read_pdu() == wire.reject(1, 1, 1)
    recorded(peer, "association-refused")
    log = (node.data_directory / "audit" / "audit.jsonl").read_text()
    assert "hunter2" not in log + caplog.text


async def test_user_by_the_requestor(node):
    options = AssociationOptions(user_identity=identity(b"ward", b"wrong"))
    with pytest.raises(AssociationRefusedError):
        async with connect(node.peer, [Proposal("1.2.840.10008.1.1")], options=options):
            pass


# --- authorization


def test_guest_may_not_store(wire, dial, recorded):
    """0124H Refused: not authorized (PS3.7 §C.4.2), for this request only."""
    peer = dial(wire.request(user_identity=identity(b"guest")))
    response, _ = peer.message(wire.STORE, wire.store("1.2.3"), wire.instance("1.2.3")).response()
    assert (response.status, response.error_comment) == (0x0124, "guests only read")
    assert peer.message(wire.ECHO, wire.echo()).response()[0].status == 0x0000
    port = peer.port
    peer.release()
    recorded(port, "access-denied", "guests only read")


async def test_a_provider_that_cannot_restrict_is_not_asked(node):
    """Who may only see some instances gets nothing of a provider that would show all: 0124H."""
    options = AssociationOptions(user_identity=identity(b"student"))
    proposals = [Proposal(PRIVATE, EXPLICIT), Proposal("1.2.840.10008.1.1")]
    async with connect(node.peer, proposals, options=options) as association:
        response = await association.c_store(PRIVATE, "1.2.3", b"")
        assert (response.status, response.error_comment) == (
            0x0124,
            "Reversed cannot restrict what it gives",
        )
        assert (await association.c_echo()).status == 0x0000


# --- negotiation beside contexts


async def test_extended_negotiation(node):
    """PS3.7 §D.3.3.5: the provider answers; one that fails, and none at all, do not."""
    options = AssociationOptions(
        extended=tuple(ExtendedNegotiation(u, b"\1\2\3") for u in (PRIVATE, "1.2.3.4"))
    )
    proposals = [Proposal(PRIVATE, EXPLICIT)]
    async with connect(node.peer, proposals, options=options) as association:
        assert association.info.extended == {PRIVATE: b"\3\2\1"}


async def _store_four(node, options) -> tuple[list[int], int]:
    """Store four instances as soon as the window permits; return the order of the answers."""
    order: list[int] = []
    async with connect(node.peer, [Proposal(PRIVATE, EXPLICIT)], options=options) as association:
        async with anyio.create_task_group() as tasks:

            async def store(number: int) -> None:
                response = await association.c_store(PRIVATE, f"1.2.{number}", bytes(1000))
                assert response.status == 0x0000
                order.append(number)

            for number in range(4):
                tasks.start_soon(store, number)
        window = association.info.request.user_information.asynchronous_operations
    return order, window.max_invoked


async def test_overlapping_requests_are_answered_in_any_order(node):
    """PS3.7 §D.3.3.3: four at once, the last is answered first."""
    options = AssociationOptions(operations=AsynchronousOperations(16, 16))
    with anyio.fail_after(40):
        order, _ = await _store_four(node, options)
    assert order == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("proposed", "answered"), [((0, 0), (4, 4)), ((2, 1), (2, 1)), ((9, 9), (4, 4))]
)
def test_window_is_no_larger_than_either_side_wants(wire, dial, proposed, answered):
    window = AsynchronousOperations(*proposed)
    peer = dial().send(encode(wire.request(asynchronous_operations=window)))
    answer = decode(peer.read_pdu()).user_information.asynchronous_operations
    assert (answer.max_invoked, answer.max_performed) == answered
    peer.release()


def test_no_window_is_answered_where_none_was_proposed(wire, dial):
    peer = dial().send(encode(wire.request()))
    assert decode(peer.read_pdu()).user_information.asynchronous_operations is None
    peer.release()


ROLES = {
    # Storage: the node is SCP, and for C-GET SCU as well (PS3.4 §C.5.3).
    ("CT", True, True): (True, True),
    ("CT", False, True): (False, True),
    ("CT", True, False): (True, False),
    # C-GET itself: the node is SCP only.
    ("GET", True, True): (True, False),
}


@pytest.mark.parametrize("asked", ROLES, ids=str)
async def test_role_selection(wire, node, asked):
    """PS3.7 §D.3.3.4: what was proposed and is accepted; the requestor's roles."""
    name, scu, scp = asked
    uid = {"CT": wire.CT, "GET": wire.STUDY_GET}[name]
    async with connect(node.peer, [Proposal(uid, EXPLICIT, scu=scu, scp=scp)]) as association:
        context = association.contexts[1]
        assert (context.scu, context.scp) == ROLES[asked]


def test_request_against_the_roles(wire, dial):
    """As SCP only, the requestor may not ask: 0211H (PS3.7 §C.5)."""
    from pacs_core.upper_layer import RoleSelection

    peer = dial(wire.request(roles=(RoleSelection(wire.CT, scu=False, scp=True),)))
    response, _ = peer.message(wire.STORE, wire.store("1.2.3"), wire.instance("1.2.3")).response()
    assert response.status == 0x0211
    peer.release()


# --- plugins that fail: nobody else pays


@pytest.fixture
def calm_node(shared_node):
    """The node without the check that nothing was logged: here errors are due."""
    return shared_node


async def test_authenticator_that_fails_refuses(calm_node):
    options = AssociationOptions(user_identity=identity(b"crash"))
    with pytest.raises(AssociationRefusedError, match=r"1,1,1"):
        async with connect(calm_node.peer, [Proposal("1.2.840.10008.1.1")], options=options):
            pass


@pytest.mark.parametrize("title", ["CRASH", "MUTE"])
async def test_authorizer_that_fails_refuses_and_observer_that_fails_does_not(
    wire, calm_node, title
):
    proposals = [Proposal(wire.CT, EXPLICIT), Proposal("1.2.840.10008.1.1")]
    async with connect(calm_node.peer, proposals, calling_ae_title=title) as association:
        response = await association.c_store(wire.CT, "1.2.3", wire.instance("1.2.3"))
        assert response.status == 0x0124
        assert (await association.c_echo()).status == 0x0000


async def test_provider_that_fails_to_negotiate(calm_node):
    options = AssociationOptions(extended=(ExtendedNegotiation(BROKEN, b"\1"),))
    proposals = [Proposal(BROKEN, EXPLICIT)]
    async with connect(calm_node.peer, proposals, options=options) as association:
        assert association.info.extended == {}
        assert 1 in association.contexts


@pytest.mark.parametrize("uid", ["1.1", "1.2", "1.3"])
async def test_provider_whose_response_is_none(calm_node, caplog, uid):
    """0110H Processing failure (PS3.7 §C.5), and the association goes on."""
    proposals = [Proposal(BROKEN, EXPLICIT), Proposal("1.2.840.10008.1.1")]
    async with connect(calm_node.peer, proposals) as association:
        response = await association.c_store(BROKEN, uid, b"")
        assert response.status == 0x0110
        assert "Error" not in response.error_comment
        assert (await association.c_echo()).status == 0x0000
    assert "0110H" in caplog.text
