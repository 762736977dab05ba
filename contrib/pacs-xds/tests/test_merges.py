"""Patients merged and linked by HL7, and what becomes of what is registered of their studies."""

import socket

import httpx
import pytest
from pacs_core.testing.waiting import until


@pytest.fixture(scope="module")
def site(tmp_path_factory, registry, tools):
    """A node that registers what is complete, and hears the hospital information system."""
    plugin = {"hl7": {"port": 0, "domains": {"HOSPITAL": ""}}}
    folder = tmp_path_factory.mktemp("merging")
    with tools.open_site(
        folder, registry, register="complete", plugins=("hl7",), plugin=plugin
    ) as opened:
        yield opened


def tell(site, kind, control_id, *segments):
    """Send a message by MLLP, and return how it is answered."""
    port = site.node.node.service_sockets["hl7"][0].getsockname()[1]
    header = f"MSH|^~\\&|HIS|HOSPITAL|PACS||20261129||{kind}|{control_id}|P|2.5.1"
    message = "\r".join((header, *segments, ""))
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(b"\x0b" + message.encode() + b"\x1c\r")
        answer = b""
        while b"\x1c\r" not in answer:
            answer += connection.recv(4096)
    return answer.decode().split("\rMSA|")[1][:2]


def entries_of(site):
    """Return the status and patient of each entry of the registry, by its UUID."""
    state = site.registry.state
    return {uuid: (state["entries"][uuid], state["patients"][uuid]) for uuid in state["entries"]}


def test_a_merge_moves_what_is_registered_to_who_remains_and_an_undo_moves_it_back(
    site, study, tools, capsys
):
    """A40 (IHE RAD-12): the registry has not merged the two, so that nothing can be replaced; the
    study is registered under the one who remains, and the entry of the other is deprecated.
    """
    uid = site.store(study.make("CT", PatientID="TRAUMA-7"))
    (one,) = site.wait(uid, "registered")
    old, new = (f"{each}^^^&{tools.DOMAIN}&ISO" for each in ("TRAUMA-7", "4711"))
    assert one.patient_id == old
    merge = ("PID|1||4711^^^HOSPITAL||Roe^Jane", "MRG|TRAUMA-7^^^HOSPITAL")
    assert tell(site, "ADT^A40", "M1", *merge) == "AA"
    two, refused, _ = site.wait(uid, "registered", "failed", "withdrawn")
    assert "XDSPatientIdDoesNotMatch" in refused.reason
    assert entries_of(site)[one.entry_uuid] == ("Deprecated", old)
    assert entries_of(site)[two.entry_uuid] == ("Approved", new)
    assert site.run("hl7", "list", "--patient", "4711") == 0
    number = capsys.readouterr().out.splitlines()[1].split()[0]
    assert site.run("hl7", "undo", number) == 0
    until(lambda: len(site.registrations(uid)) == 5, 60)
    three, *_ = site.wait(uid, "registered", "failed", "withdrawn", "failed", "withdrawn")
    assert entries_of(site)[two.entry_uuid] == ("Deprecated", new)
    assert entries_of(site)[three.entry_uuid] == ("Approved", old)
    assert site.registry.state["problems"] == []


def test_a_merge_says_what_to_do_where_nobody_may_deprecate(
    tmp_path, registry, study, tools, capsys
):
    """Without ITI-57 the entry of the prior patient stays, and is listed as stale."""
    plugin = {"hl7": {"port": 0, "domains": {"HOSPITAL": ""}}}
    with tools.open_site(
        tmp_path, registry, register="complete", plugins=("hl7",), plugin=plugin, updates=None
    ) as site:
        uid = site.store(study.make("CT", PatientID="TRAUMA-8"))
        (one,) = site.wait(uid, "registered")
        merge = ("PID|1||4712^^^HOSPITAL", "MRG|TRAUMA-8^^^HOSPITAL")
        assert tell(site, "ADT^A40", "M1", *merge) == "AA"
        two, _, stale = site.wait(uid, "registered", "failed", "stale")
        assert stale.entry_uuid == one.entry_uuid
        assert two.patient_id.startswith("4712^")
        assert site.run("xds", "list", "--state", "stale") == 0
        said = capsys.readouterr().out
        assert f"its study is of {two.patient_id} now" in said
        assert "have it deprecated at the registry, or set [plugin.xds.updates]" in said


def test_an_update_replaces_and_a_link_changes_nothing_that_is_registered(site, study):
    """A08 changes what the entry says; A24 and A37 leave both patients who they are."""
    uid = site.store(study.make("CT", PatientID="L1", PatientName="Deo^Jane"))
    (one,) = site.wait(uid, "registered")
    pair = ("PID|1||L1^^^HOSPITAL", "PV1|1", "PID|2||L2^^^HOSPITAL", "PV1|2")

    def other_ids():
        url = f"http://127.0.0.1:{site.web}/dicom-web/studies/{uid}/metadata"
        (found,) = httpx.get(url, timeout=60).json()
        return [each["00100020"]["Value"][0] for each in found.get("00101002", {}).get("Value", [])]

    assert tell(site, "ADT^A24", "K1", *pair) == "AA"
    assert other_ids() == ["L2"]
    assert tell(site, "ADT^A37", "K2", *pair) == "AA"
    assert other_ids() == []
    until(lambda: not site.waiting(), 60)
    assert [each.number for each in site.registrations(uid)] == [one.number]
    assert tell(site, "ADT^A08", "U1", "PID|1||L1^^^HOSPITAL||Doe^Jane") == "AA"
    two, _ = site.wait(uid, "registered", "replaced")
    assert two.replaces == one.entry_uuid
    assert len(site.registrations(uid)) == 2
    assert site.registry.state["problems"] == []
