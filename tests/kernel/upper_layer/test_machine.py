"""The machine against Table 9-10: each stimulus in each state that each role can reach."""

import pytest
from pynetdicom.fsm import TRANSITION_TABLE

from pacs_core.upper_layer import (
    Abort,
    Aborted,
    AssociateRJ,
    AssociateRQ,
    AssociationAccepted,
    AssociationRefused,
    AssociationRejected,
    AssociationRequested,
    ConnectionClosed,
    DataReceived,
    LocalProtocolError,
    PDataTF,
    PresentationDataValue,
    ProposedContext,
    Released,
    ReleaseRequested,
    ReleaseRP,
    ReleaseRQ,
    Role,
    State,
    UpperLayer,
    encode,
)

PDV = PresentationDataValue(1, True, True, b"command!")
REJECTION = AssociateRJ(1, 1, 7)
UNKNOWN_PDU = b"\x7f\0\0\0\0\0"
BY_USER = encode(Abort(0, 0))
UNEXPECTED = encode(Abort(2, 2))
UNRECOGNIZED = encode(Abort(2, 1))

REMOTE = {
    "Evt3": lambda rq, ac: encode(ac),
    "Evt4": lambda rq, ac: encode(REJECTION),
    "Evt6": lambda rq, ac: encode(rq),
    "Evt10": lambda rq, ac: encode(PDataTF((PDV,))),
    "Evt12": lambda rq, ac: encode(ReleaseRQ()),
    "Evt13": lambda rq, ac: encode(ReleaseRP()),
    "Evt16": lambda rq, ac: encode(Abort(2, 6)),
    "Evt19": lambda rq, ac: UNKNOWN_PDU,
}
LOCAL = {
    "Evt1": lambda m, rq, ac: m.associate(rq),
    "Evt7": lambda m, rq, ac: m.accept(ac),
    "Evt8": lambda m, rq, ac: m.reject(REJECTION),
    "Evt9": lambda m, rq, ac: m.send_data([PDV]),
    "Evt11": lambda m, rq, ac: m.release(),
    "Evt14": lambda m, rq, ac: m.respond_release(),
    "Evt15": lambda m, rq, ac: m.abort(),
}
# Action: state after it, and what is sent (PS3.8 §9.2.2).
DONE = {
    "AE-1": ("Sta4", lambda rq, ac: b""),
    "AE-2": ("Sta5", lambda rq, ac: encode(rq)),
    "AE-3": ("Sta6", lambda rq, ac: b""),
    "AE-4": ("Sta1", lambda rq, ac: b""),
    "AE-5": ("Sta2", lambda rq, ac: b""),
    "AE-6": ("Sta3", lambda rq, ac: b""),
    "AE-7": ("Sta6", lambda rq, ac: encode(ac)),
    "AE-8": ("Sta13", lambda rq, ac: encode(REJECTION)),
    "DT-1": ("Sta6", lambda rq, ac: encode(PDataTF((PDV,)))),
    "DT-2": ("Sta6", lambda rq, ac: b""),
    "AR-1": ("Sta7", lambda rq, ac: encode(ReleaseRQ())),
    "AR-2": ("Sta8", lambda rq, ac: b""),
    "AR-3": ("Sta1", lambda rq, ac: b""),
    "AR-4": ("Sta13", lambda rq, ac: encode(ReleaseRP())),
    "AR-5": ("Sta1", lambda rq, ac: b""),
    "AR-6": ("Sta7", lambda rq, ac: b""),
    "AR-7": ("Sta8", lambda rq, ac: encode(PDataTF((PDV,)))),
    "AR-9": ("Sta11", lambda rq, ac: encode(ReleaseRP())),
    "AR-10": ("Sta12", lambda rq, ac: b""),
    "AA-1": ("Sta13", lambda rq, ac: BY_USER),
    "AA-2": ("Sta1", lambda rq, ac: b""),
    "AA-3": ("Sta1", lambda rq, ac: b""),
    "AA-4": ("Sta1", lambda rq, ac: b""),
    "AA-5": ("Sta1", lambda rq, ac: b""),
    "AA-6": ("Sta13", lambda rq, ac: b""),
}
INDICATED = {
    "AE-3": lambda rq, ac: AssociationAccepted(ac),
    "AE-4": lambda rq, ac: AssociationRejected(REJECTION),
    "AE-6": lambda rq, ac: AssociationRequested(rq),
    "DT-2": lambda rq, ac: DataReceived((PDV,)),
    "AR-2": lambda rq, ac: ReleaseRequested(False),
    "AR-3": lambda rq, ac: Released(),
    "AR-5": lambda rq, ac: ConnectionClosed(),
    "AR-6": lambda rq, ac: DataReceived((PDV,)),
    "AR-8": lambda rq, ac: ReleaseRequested(True),
    "AR-10": lambda rq, ac: Released(response_due=True),
    "AA-3": lambda rq, ac: Aborted(2, 6, True, ""),
    "AA-4": lambda rq, ac: ConnectionClosed(),
    "AA-5": lambda rq, ac: ConnectionClosed(),
}


def check_done(machine, action, pdus, sent=None):
    after, output = DONE[action]
    assert machine.state.name == after
    assert b"".join(machine.buffers_to_send()) == (output(*pdus) if sent is None else sent)
    assert machine.must_close == (after == "Sta1")
    assert machine.artim_running == (after in ("Sta2", "Sta13"))


def check_unchanged(machine, state):
    assert machine.state.name == state
    assert b"".join(machine.buffers_to_send()) == b""
    assert not machine.must_close


@pytest.mark.parametrize("stimulus", REMOTE)
def test_pdus(place, stimulus, machine_in, request_pdu, response_pdu):
    pdus = request_pdu, response_pdu
    machine = machine_in(*place)
    action = TRANSITION_TABLE.get((stimulus, place[1]))
    events = machine.receive_data(REMOTE[stimulus](*pdus))
    if action is None:  # there is no transport connection in these states
        assert events == []
        check_unchanged(machine, place[1])
    elif action in ("AA-7", "AA-8"):
        sent = UNRECOGNIZED if stimulus == "Evt19" else UNEXPECTED
        check_done(machine, "AA-1", pdus, sent)
        assert [type(event) for event in events] == ([Aborted] if action == "AA-8" else [])
    elif action == "AR-8":
        assert machine.state is (State.Sta9 if place[0] is Role.REQUESTOR else State.Sta10)
        assert b"".join(machine.buffers_to_send()) == b""
        assert events == [ReleaseRequested(collision=True)]
    elif action == "AA-1":
        check_done(machine, action, pdus)
        [event] = events
        assert (event.source, event.reason, event.by_peer) == (0, 0, False)
        assert "PDU" in event.detail
    else:
        check_done(machine, action, pdus)
        assert events == ([INDICATED[action](*pdus)] if action in INDICATED else [])


@pytest.mark.parametrize("stimulus", LOCAL)
def test_primitives(place, stimulus, machine_in, request_pdu, response_pdu):
    pdus = request_pdu, response_pdu
    machine = machine_in(*place)
    action = TRANSITION_TABLE.get((stimulus, place[1]))
    if action is None or (stimulus, place[0]) == ("Evt1", Role.ACCEPTOR):
        with pytest.raises(LocalProtocolError):
            LOCAL[stimulus](machine, *pdus)
        check_unchanged(machine, place[1])
    else:
        LOCAL[stimulus](machine, *pdus)
        check_done(machine, action, pdus)


def test_transport_opens(place, machine_in, request_pdu, response_pdu):
    machine = machine_in(*place)
    stimulus = "Evt2" if place[0] is Role.REQUESTOR else "Evt5"
    action = TRANSITION_TABLE.get((stimulus, place[1]))
    if action:
        machine.confirm_connection()
        check_done(machine, action, (request_pdu, response_pdu))
    elif place == (Role.REQUESTOR, "Sta1"):
        machine.confirm_connection()
        check_unchanged(machine, "Sta1")
    else:
        with pytest.raises(LocalProtocolError):
            machine.confirm_connection()
        check_unchanged(machine, place[1])


def test_transport_closes(place, machine_in, request_pdu, response_pdu):
    machine = machine_in(*place)
    action = TRANSITION_TABLE.get(("Evt17", place[1]))
    events = machine.receive_eof()
    if action:
        check_done(machine, action, (request_pdu, response_pdu))
        assert events == [ConnectionClosed()]
    else:
        assert (events, machine.state) == ([], State.Sta1)
    assert machine.must_close
    assert machine.receive_eof() == []


def test_timer_expires(place, machine_in, request_pdu, response_pdu):
    machine = machine_in(*place)
    action = TRANSITION_TABLE.get(("Evt18", place[1]))
    assert machine.artim_running == (action is not None)
    assert machine.artim_expired() == []
    if action:
        check_done(machine, action, (request_pdu, response_pdu))
    else:
        check_unchanged(machine, place[1])


def test_a_finished_machine_takes_nothing_more(machine_in, request_pdu):
    machine = machine_in(Role.REQUESTOR, "Sta6")
    machine.receive_data(encode(Abort(0, 0)))
    assert machine.receive_data(encode(request_pdu)) == []
    with pytest.raises(LocalProtocolError):
        machine.associate(request_pdu)
    with pytest.raises(LocalProtocolError):
        machine.confirm_connection()


def test_what_follows_the_end_in_the_same_read_is_ignored(machine_in):
    machine = machine_in(Role.REQUESTOR, "Sta6")
    events = machine.receive_data(encode(Abort(0, 0)) + UNKNOWN_PDU)
    assert events == [Aborted(0, 0, True, "")]
    assert b"".join(machine.buffers_to_send()) == b""


def test_requestor_may_connect_first(request_pdu):
    machine = UpperLayer(Role.REQUESTOR)
    machine.confirm_connection()
    machine.associate(request_pdu)
    assert machine.state is State.Sta5
    assert b"".join(machine.buffers_to_send()) == encode(request_pdu)


def test_release_collision_ends_on_both_sides(machine_in):
    requestor = machine_in(Role.REQUESTOR, "Sta6")
    acceptor = machine_in(Role.ACCEPTOR, "Sta6")
    requestor.release()
    acceptor.release()
    to_requestor, to_acceptor = (
        b"".join(acceptor.buffers_to_send()),
        b"".join(requestor.buffers_to_send()),
    )
    assert requestor.receive_data(to_requestor) == [ReleaseRequested(collision=True)]
    assert acceptor.receive_data(to_acceptor) == [ReleaseRequested(collision=True)]
    requestor.respond_release()
    assert acceptor.receive_data(b"".join(requestor.buffers_to_send())) == [
        Released(response_due=True)
    ]
    acceptor.respond_release()
    assert requestor.receive_data(b"".join(acceptor.buffers_to_send())) == [Released()]
    assert requestor.must_close
    assert acceptor.receive_eof() == [ConnectionClosed()]
    assert acceptor.must_close


def test_another_protocol_version_is_rejected_whatever_follows(machine_in):
    """PS3.8 §9.3.2: only bit 0 is tested. Table 9-21: 1, 2, 2."""
    machine = machine_in(Role.ACCEPTOR, "Sta2")
    [event] = machine.receive_data(b"\x01\0\0\0\0\x04\xff\xfe\xff\xff")
    assert event.request is None
    assert "FFFE" in event.detail.upper()
    assert b"".join(machine.buffers_to_send()) == encode(AssociateRJ(1, 2, 2))
    assert machine.state is State.Sta13
    assert machine.artim_running


def test_any_version_with_bit_0_is_version_1(machine_in, request_pdu):
    encoded = bytearray(encode(request_pdu))
    encoded[6:8] = b"\xff\xff"
    [event] = machine_in(Role.ACCEPTOR, "Sta2").receive_data(encoded)
    assert isinstance(event, AssociationRequested)


def test_another_application_context_is_rejected(machine_in):
    machine = machine_in(Role.ACCEPTOR, "Sta2")
    contexts = (ProposedContext(1, "1.2", ("1.3",)),)
    wrong = AssociateRQ("A", "B", contexts, application_context="1.2.3")
    [event] = machine.receive_data(encode(wrong))
    assert isinstance(event, AssociationRefused)
    assert event.request == wrong
    assert b"".join(machine.buffers_to_send()) == encode(AssociateRJ(1, 1, 2))
    assert machine.state is State.Sta13


def test_the_timer_runs_over_the_whole_first_pdu(machine_in, request_pdu):
    machine = machine_in(Role.ACCEPTOR, "Sta2")
    encoded = encode(request_pdu)
    for byte in encoded[:-1]:
        assert machine.receive_data(bytes((byte,))) == []
        assert machine.artim_running
    machine.receive_data(encoded[-1:])
    assert not machine.artim_running


def test_a_pdu_above_the_peers_maximum_is_not_sent(machine_in):
    machine = machine_in(Role.ACCEPTOR, "Sta6")
    assert machine.peer_maximum_length == 16384
    fitting = PresentationDataValue(1, False, True, bytes(16384 - 6))
    machine.send_data([fitting])
    assert len(b"".join(machine.buffers_to_send())) == 6 + 16384
    with pytest.raises(LocalProtocolError, match="16385"):
        machine.send_data([PresentationDataValue(1, False, True, bytes(16384 - 5))])
    check_unchanged(machine, "Sta6")


def test_data_is_sent_without_copying(machine_in):
    machine = machine_in(Role.ACCEPTOR, "Sta6")
    data = bytes(1000)
    machine.send_data([PresentationDataValue(1, False, True, data)])
    assert any(buffer is data for buffer in machine.buffers_to_send())
    assert machine.buffers_to_send() == []


def test_a_request_that_cannot_be_encoded_changes_nothing():
    machine = UpperLayer(Role.REQUESTOR)
    machine.confirm_connection()
    too_long = AssociateRQ("A" * 17, "B", (ProposedContext(1, "1.2", ("1.3",)),))
    with pytest.raises(LocalProtocolError, match="AE title"):
        machine.associate(too_long)
    check_unchanged(machine, "Sta1")


def test_an_abort_by_the_provider_names_its_reason(machine_in):
    machine = machine_in(Role.ACCEPTOR, "Sta6")
    machine.abort(source=2, reason=0)
    assert b"".join(machine.buffers_to_send()) == bytes.fromhex("07 00 00000004 0000 02 00")
