"""User identity as other makes present it (PS3.7 D.3.3.7): DCMTK and pynetdicom."""

import json
import sys
from io import StringIO

import pydicom.data
import pytest
from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import Verification

from pacs_core.api.commands import main
from pacs_core.testing.node import node_process, node_thread, write_config
from pacs_core.testing.waiting import until

PASSWORD = "a password of alice"
CONFIG = {
    "anonymous": "refused",
    "ae": [
        {"title": "CT1", "networks": ["127.0.0.0/8"], "roles": ["modalities"]},
        {"title": "CT2", "networks": ["192.0.2.0/24"]},
    ],
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A node where everybody has to say who they are, and two users."""
    data = tmp_path_factory.mktemp("guarded") / "data"
    with node_thread(data, {"plugin": {"auth-local": CONFIG}}) as node:
        with pytest.MonkeyPatch.context() as patch:
            for name, titles in (("alice", ()), ("bob", ("--ae-title", "BOBS"))):
                patch.setattr(sys, "stdin", StringIO(PASSWORD + "\n"))
                command = ["users", "add", name, *titles, "--data", str(data)]
                assert main(command) == 0
        yield node


def associate(node, kind, primary, secondary=b"", calling="ANY", *, respond=True):
    """Associate with pynetdicom; return the A-ASSOCIATE-AC or -RJ, and what C-ECHO answers."""
    ae = AE(calling)
    ae.add_requested_context(Verification)
    identity = UserIdentityNegotiation()
    identity.user_identity_type = kind or 1
    identity.positive_response_requested = respond
    identity.primary_field = primary
    if kind == 2:
        identity.secondary_field = secondary
    items = [identity] if kind else []
    # What the transport brought: pynetdicom's requestor forgets a rejection that comes, and closes
    # the connection, before its other thread has seen that there was one.
    rejections = []

    def note_rejection(event):
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            rejections.append(event.pdu.to_primitive())

    association = ae.associate(
        "127.0.0.1", node.port, ext_neg=items, evt_handlers=[(evt.EVT_PDU_RECV, note_rejection)]
    )
    if not association.is_established:
        until(lambda: rejections)
        return rejections[0], None
    status = association.send_c_echo().Status
    association.release()
    return association.acceptor.primitive, status


def test_username_and_passcode(guarded):
    answer, status = associate(guarded, 2, b"alice", PASSWORD.encode())
    assert status == 0x0000
    responses = [
        i for i in answer.user_information if type(i).__name__ == "UserIdentityNegotiation"
    ]
    assert [each.server_response for each in responses] == [b""]  # PS3.7 D.3.3.7.2
    answer, _ = associate(guarded, 2, b"alice", PASSWORD.encode(), respond=False)
    assert "UserIdentityNegotiation" not in {type(i).__name__ for i in answer.user_information}


@pytest.mark.parametrize(
    ("kind", "primary", "secondary"),
    [
        (0, b"", b""),
        (1, b"alice", b""),
        (2, b"alice", b"another password"),
        (2, b"nobody", PASSWORD.encode()),
        (2, b"bob", PASSWORD.encode()),  # right, but not as ANY
        (2, b"x" * 60_000, b"x"),
        (2, b"alice\0", PASSWORD.encode()),
        (2, "alïce".encode("latin-1"), b"x"),
        (3, b"ticket", b""),
        (4, b"<saml:Assertion/>", b""),
        (5, b"eyJhbGciOiJub25lIn0.e30.", b""),
    ],
)  # fmt: skip
def test_who_is_refused_without_a_reason(guarded, kind, primary, secondary):
    answer, status = associate(guarded, kind, primary, secondary)
    assert status is None
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 1)


def test_a_user_comes_from_the_ae_title_that_is_theirs(guarded):
    assert associate(guarded, 2, b"bob", PASSWORD.encode(), calling="BOBS")[1] == 0x0000


def test_an_identity_is_not_passed_over_for_an_ae_title(guarded):
    """What nobody has verified makes nobody of a peer, whoever it is else."""
    answer, _ = associate(guarded, 5, b"eyJhbGciOiJub25lIn0.e30.", calling="CT1")
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 1)


def test_an_ae_title_comes_from_its_address(guarded):
    assert associate(guarded, 0, b"", calling="CT1")[1] == 0x0000
    for kind in (0, 2):
        answer, _ = associate(guarded, kind, b"alice", PASSWORD.encode(), calling="CT2")
        assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 3)


@pytest.mark.peer
def test_dcmtk(dcmtk, guarded):
    where = ("127.0.0.1", guarded.port)
    good = ("--user", "alice", "--password", PASSWORD, "--pos-response")
    file = pydicom.data.get_testdata_file("CT_small.dcm")
    dcmtk.run("storescu", *good, *where, file)
    output = dcmtk.run(
        "storescu", "--user", "alice", "--password", "wrong", *where, file, code=None
    )
    assert "Rejected Permanent" in output
    assert "Service User" in output
    assert "Rejected Permanent" in dcmtk.run("storescu", *where, file, code=None)
    token = dcmtk.directory / "token"
    token.write_text("eyJhbGciOiJub25lIn0.e30.")
    for option in ("--kerberos", "--saml", "--jwt"):
        output = dcmtk.run("storescu", option, token, *where, file, code=None)
        assert "Rejected Permanent" in output, option
    audit = guarded.data_directory / "audit" / "audit.jsonl"
    reasons = ("a Kerberos service ticket", "a SAML assertion", "such a user identity")
    until(lambda: all(reason in audit.read_text() for reason in reasons))
    trail = audit.read_text()
    users = {
        event["event"]: event["user"]
        for event in map(json.loads, trail.splitlines())
        if event["event"] in ("association-accepted", "c-store")
    }
    assert users == {"association-accepted": "alice", "c-store": "alice"}
    assert PASSWORD not in trail


def test_bindings_and_policy_change_while_the_node_runs(tmp_path):
    """By `pacs reload`, in every process; what is wrong is refused, and the old stays."""
    near, far = ["127.0.0.0/8"], ["192.0.2.0/24"]
    bound = {"ae": [{"title": "CT1", "networks": near}]}
    trail = tmp_path / "data" / "audit" / "audit.jsonl"

    def tables(identities="refused", **own):
        network = {"unknown_identities": identities}
        return {"plugin": {"auth-local": own}, "node": {"workers": 2}, "network": network}

    def write(*identities, **own):
        changed = trail.read_text().count('"configuration-changed"')
        code = main(
            ["reload", "--config", str(write_config(tmp_path / "data", tables(*identities, **own)))]
        )
        if code == 0:  # workers take it one after the other
            until(lambda: trail.read_text().count('"configuration-changed"') > changed)
        return code

    with node_process(tmp_path / "data", tables(**bound)) as node:
        assert associate(node, 0, b"", calling="CT1")[1] == 0x0000
        titles = [{"title": "CT1", "networks": far}, {"title": "CT2", "networks": near}]
        assert write(unbound_ae_titles=False, ae=titles) == 0
        for _ in range(4):  # whichever process has it
            assert [associate(node, 0, b"", calling=each)[1] for each in ("CT1", "CT2", "CT3")] == [
                None, 0x0000, None,
            ]  # fmt: skip
        assert write(ae=[{"title": "CT1", "networks": ["everywhere"]}]) == 1
        assert associate(node, 0, b"", calling="CT1")[1] is None
        # A table is a use of identities: another identity than those that it knows is refused.
        assert associate(node, 2, b"alice", b"x", calling="CT2")[1] is None
        assert write("ignored", ae=titles[1:]) == 0
        answer, status = associate(node, 2, b"alice", b"x", calling="CT2")
        assert status == 0x0000
        assert "UserIdentityNegotiation" not in {type(i).__name__ for i in answer.user_information}
        assert write() == 0
        assert associate(node, 2, b"alice", b"x", calling="CT1")[1] == 0x0000
