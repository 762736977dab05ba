"""Machines in each state that a role can reach, brought there by bytes and primitives only."""

from collections.abc import Callable

import pytest

from pacs_core.upper_layer import (
    AssociateAC,
    AssociateRQ,
    ContextResult,
    ContextResultCode,
    Limits,
    ProposedContext,
    ReleaseRP,
    ReleaseRQ,
    Role,
    UpperLayer,
    UserInformation,
    encode,
)

REQUEST = AssociateRQ(
    "ARCHIVE",
    "MODALITY",
    (ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),),
    UserInformation(maximum_length=16384, implementation_class_uid="1.2.3.4"),
)
RESPONSE = AssociateAC(
    "ARCHIVE",
    "MODALITY",
    (ContextResult(1, ContextResultCode.ACCEPTANCE, "1.2.840.10008.1.2"),),
    UserInformation(maximum_length=32768, implementation_class_uid="1.2.3.5"),
)

Step = Callable[[UpperLayer], object]

_REQUESTED: list[Step] = [
    lambda m: m.confirm_connection(),
    lambda m: m.receive_data(encode(REQUEST)),
]
_ACCEPTED: list[Step] = [*_REQUESTED, lambda m: m.accept(RESPONSE)]
_ASKED: list[Step] = [lambda m: m.associate(REQUEST), lambda m: m.confirm_connection()]
_ESTABLISHED: list[Step] = [*_ASKED, lambda m: m.receive_data(encode(RESPONSE))]
_RELEASE: Step = lambda m: m.release()  # noqa: E731
_RESPOND: Step = lambda m: m.respond_release()  # noqa: E731
_RELEASE_RQ: Step = lambda m: m.receive_data(encode(ReleaseRQ()))  # noqa: E731
_RELEASE_RP: Step = lambda m: m.receive_data(encode(ReleaseRP()))  # noqa: E731
_ABORT: Step = lambda m: m.abort()  # noqa: E731

PATHS: dict[tuple[Role, str], list[Step]] = {
    (Role.ACCEPTOR, "Sta1"): [],
    (Role.ACCEPTOR, "Sta2"): _REQUESTED[:1],
    (Role.ACCEPTOR, "Sta3"): _REQUESTED,
    (Role.ACCEPTOR, "Sta6"): _ACCEPTED,
    (Role.ACCEPTOR, "Sta7"): [*_ACCEPTED, _RELEASE],
    (Role.ACCEPTOR, "Sta8"): [*_ACCEPTED, _RELEASE_RQ],
    (Role.ACCEPTOR, "Sta10"): [*_ACCEPTED, _RELEASE, _RELEASE_RQ],
    (Role.ACCEPTOR, "Sta12"): [*_ACCEPTED, _RELEASE, _RELEASE_RQ, _RELEASE_RP],
    (Role.ACCEPTOR, "Sta13"): [*_ACCEPTED, _ABORT],
    (Role.REQUESTOR, "Sta1"): [],
    (Role.REQUESTOR, "Sta4"): _ASKED[:1],
    (Role.REQUESTOR, "Sta5"): _ASKED,
    (Role.REQUESTOR, "Sta6"): _ESTABLISHED,
    (Role.REQUESTOR, "Sta7"): [*_ESTABLISHED, _RELEASE],
    (Role.REQUESTOR, "Sta8"): [*_ESTABLISHED, _RELEASE_RQ],
    (Role.REQUESTOR, "Sta9"): [*_ESTABLISHED, _RELEASE, _RELEASE_RQ],
    (Role.REQUESTOR, "Sta11"): [*_ESTABLISHED, _RELEASE, _RELEASE_RQ, _RESPOND],
    (Role.REQUESTOR, "Sta13"): [*_ESTABLISHED, _ABORT],
}


@pytest.fixture(scope="session")
def request_pdu() -> AssociateRQ:
    """A valid request."""
    return REQUEST


@pytest.fixture(scope="session")
def response_pdu() -> AssociateAC:
    """The response that accepts `request_pdu`."""
    return RESPONSE


@pytest.fixture(scope="session")
def machine_in() -> Callable[..., UpperLayer]:
    """Make a machine of a role in a state, its output taken."""

    def make(role: Role, state: str, limits: Limits | None = None) -> UpperLayer:
        machine = UpperLayer(role, limits or Limits())
        for step in PATHS[role, state]:
            step(machine)
        b"".join(machine.buffers_to_send())
        assert machine.state.name == state
        return machine

    return make


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that ask for `place` in each state that each role can reach."""
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", PATHS, ids=[f"{r.value}-{s}" for r, s in PATHS])
