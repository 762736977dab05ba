"""Routing to DCMTK's storescp, to another node and to a DICOMweb server, whatever is killed."""

import pytest
from pacs_sop_mpps.api import PerformedProcedureSteps
from pacs_sop_mpps.testing import sample_attributes
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pynetdicom import build_context
from pynetdicom.sop_class import CTImageStorage

from pacs_core.contracts import Level, Query
from pacs_core.dataset import tag_of
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, node_thread
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.waiting import until

from .receivers import BASE, PLUGINS, Receiver, described, pacs, pydicom_of, rules, store

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def routing(tmp_path_factory):
    """A node with several destinations, one of which is always away."""
    directory = tmp_path_factory.mktemp("routing")
    away = Receiver("AWAY")
    only_ct = [build_context(CTImageStorage)]
    with (
        Receiver("AI") as ai,
        Receiver("BACKUP") as backup,
        Receiver("CT1") as ct1,
        Receiver("PICKY", only_ct) as picky,
    ):
        receivers = {"ai": ai, "backup": backup, "ct1": ct1, "away": away, "picky": picky}
        tables = rules(
            receivers,
            {
                "ct-to-ai": {"where": {"Modality": "CT"}, "to": ["ai"], "priority": 5},
                "also-to-ai": {"where": {"Modality": ["CT", "SC"]}, "to": ["ai"]},
                "all-from-ct1": {"sources": ["CT*"], "to": ["backup", "ct1"]},
                "mr-studies": {"where": {"Modality": "MR"}, "to": ["backup"], "on": "study",
                               "whole_study": True},
                "picky": {"sources": ["MAMMO"], "to": ["picky"]},
                "never": {"where": {"Modality": "US"}, "to": ["away"]},
            },
            refusals=3,
        )  # fmt: skip
        with node_thread(directory, tables, plugins=PLUGINS) as node:
            yield node, receivers, directory


def test_what_rules_are_about_goes_where_they_say_once(routing):
    """Two rules for one peer are one delivery, and what a peer has sent does not go back to it."""
    node, receivers, directory = routing
    study = SampleStudy()
    ct = store(node.port, [study.make("CT") for _ in range(3)], "CT1")
    mr = store(node.port, [SampleStudy().make("MR")])
    ai, backup = receivers["ai"], receivers["backup"]
    until(lambda: set(ct) <= set(ai.received) and {*ct, *mr} <= set(backup.received))
    assert sorted(u for u in ai.received if u in ct) == sorted(ct)
    assert receivers["ct1"].received == []
    assert ai.sources[0] == ("PACS", 1)  # HIGH, PS3.7 E.1-1
    until(
        lambda: all(
            each["state"] == "sent" for each in described(directory, "routes", "show", ct[0])
        )
    )
    found = described(directory, "routes", "show", ct[0])
    assert {(each["rule"], each["peer"]) for each in found} == {
        ("ct-to-ai", "ai"), ("all-from-ct1", "backup"),
    }  # fmt: skip


def test_a_study_goes_as_a_whole_when_it_is_complete_and_again_only_what_is_late(routing):
    node, receivers, _ = routing
    study, backup = SampleStudy(), receivers["backup"]
    first = store(node.port, [study.make("MR"), study.make("NM")])
    until(lambda: set(first) <= set(backup.received))
    late = store(node.port, [study.make("MR")])
    until(lambda: set(late) <= set(backup.received))
    assert sorted(u for u in backup.received if u in first) == sorted(first)


def test_a_peer_that_is_away_keeps_no_other_waiting_and_refusals_are_given_up(routing):
    node, receivers, directory = routing
    us, ct = SampleStudy().make("US"), SampleStudy()
    lost, held = (SampleStudy().make("CT") for _ in range(2))
    receivers["ai"].status = {lost.sop_instance_uid: 0xC000, held.sop_instance_uid: [0xA700] * 5}
    store(node.port, [us, lost, held])
    fine = store(node.port, [ct.make("CT") for _ in range(5)])
    until(lambda: {*fine, held.sop_instance_uid} <= set(receivers["ai"].received))

    def states(sample):
        found = described(directory, "routes", "show", sample.sop_instance_uid)
        return {each["peer"]: (each["state"], each["status"]) for each in found}

    until(lambda: states(lost)["ai"] == ("failed", "C000H"))
    until(lambda: states(held)["ai"] == ("sent", "0000H"))
    assert states(us)["away"][0] == "waiting"
    events = "".join(path.read_text() for path in (directory / "audit").glob("*.jsonl"))
    assert "routing.given-up" in events
    # By hand it is tried again, and now taken.
    receivers["ai"].status = {}
    pacs(directory, "routes", "retry", lost.sop_instance_uid)
    until(lambda: states(lost)["ai"] == ("sent", "0000H"))
    # The peer comes back: all that waited arrives.
    with receivers["away"] as back:
        pacs(directory, "routes", "retry", "--peer", "away")
        until(lambda: us.sop_instance_uid in back.received)
    assert "never" in pacs(directory, "routes", "list")


def test_what_a_peer_does_not_take_at_all_is_given_up_and_says_why(routing):
    """No presentation context is accepted for it (PS3.8 §9.3.3.2): that is not being away."""
    node, receivers, directory = routing
    mammogram, ct = (SampleStudy().make(modality) for modality in ("MG", "CT"))
    store(node.port, [mammogram, ct], "MAMMO")
    until(lambda: ct.sop_instance_uid in receivers["picky"].received)
    show = ("routes", "show", mammogram.sop_instance_uid)
    until(lambda: {each["state"] for each in described(directory, *show)} == {"failed"})
    assert "accepts no transfer syntax" in described(directory, *show)[0]["reason"]


def test_an_instance_that_breaks_each_association_keeps_no_other_from_its_peer(routing):
    node, receivers, _ = routing
    study = SampleStudy()
    samples = [study.make("CT") for _ in range(6)]
    poison = samples[0].sop_instance_uid
    receivers["ai"].status = {poison: "abort"}
    others = set(store(node.port, samples)) - {poison}
    until(lambda: others <= set(receivers["ai"].received))
    assert poison not in receivers["ai"].received
    receivers["ai"].status = {}
    until(lambda: poison in receivers["ai"].received)


def test_where_a_file_goes_is_explained_and_what_is_there_is_sent_by_hand(routing, tmp_path):
    node, receivers, directory = routing
    sample = SampleStudy().make("US")
    store(node.port, [sample])
    file = tmp_path / "ct.dcm"
    pydicom_of(SampleStudy().make("CT")).save_as(file, enforce_file_format=True)
    text = pacs(directory, "routes", "test", str(file), "--source", "CT1")
    assert "it goes to ai, backup\n" in text
    assert "not to ct1: it came from CT1" in text
    assert "no   Modality = MR: CT" in text
    assert "yes  sources CT*: CT1" in text
    pacs(directory, "routes", "send", sample.sop_instance_uid, "--to", "backup")
    until(lambda: sample.sop_instance_uid in receivers["backup"].received)


def files_in(directory):
    """Return the SOP Instance UIDs of whole files; storescp writes while we look."""
    found = []
    for path in directory.iterdir():
        try:
            found.append(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        except (InvalidDicomError, EOFError, AttributeError):
            continue
    return found


def test_all_arrives_at_storescp_a_node_and_a_web_server_whatever_is_killed(tmp_path, module_dcmtk):
    """The router is killed midway; one destination is away at first, one commits to what it has."""
    received = tmp_path / "received"
    received.mkdir()
    storescp, away = find_free_port(), find_free_port()
    web = find_free_port()
    plugins = (*BASE, "sop-storage-commitment", "web", "dicomweb")
    listening = {"ae_title": "ARCHIVE2", "port": away, "data_directory": str(tmp_path / "b")}
    archive = {"node": listening, "plugin": {"web": {"port": web}}}
    local = {"host": "127.0.0.1"}
    tables = rules(
        {
            "dcmtk": {"ae_title": "DCMTK", "port": storescp, **local},
            "archive2": {"ae_title": "ARCHIVE2", "port": away, **local},
            "web2": {"dicomweb": f"http://127.0.0.1:{web}/dicom-web"},
        },
        {
            "ct": {"where": {"Modality": "CT"}, "to": ["dcmtk", "archive2"], "associations": 2},
            "mr": {"where": {"Modality": "MR"}, "to": ["web2"]},
            "us": {"where": {"Modality": "US"}, "to": ["archive2"], "commit": True, "on": "study"},
        },
        batch=5,
    )
    tables["plugin"]["jobs"] = {"lease": 15.0}  # after which what was killed is taken up again
    samples = {m: [SampleStudy().make(m) for _ in range(n)]
               for m, n in {"CT": 40, "MR": 6, "US": 3}.items()}  # fmt: skip
    uids = {m: {each.sop_instance_uid for each in of} for m, of in samples.items()}
    options = ("-aet", "DCMTK", "+B", "-od", received)
    router = ("routing", "sop-storage-commitment", *BASE)
    with module_dcmtk.serve("storescp", storescp, *options):
        with node_process(tmp_path / "a", tables, plugins=router) as node:
            for of in samples.values():
                store(node.port, of)
            until(lambda: files_in(received))
            node.kill()
        with (
            node_thread(tmp_path / "b", archive, plugins=plugins) as other,
            node_process(tmp_path / "a", tables, plugins=router) as again,
        ):
            until(lambda: uids["CT"] <= set(files_in(received)), 120)

            def arrived():
                found = other.call(instances_of, other.node.opened.node)
                return set().union(*uids.values()) <= set(found)

            until(arrived, 120)
            show = ("routes", "show", "us")
            until(
                lambda: {"committed"} == {e["state"] for e in described(tmp_path / "a", *show)}, 120
            )

            def unsettled():
                listed = described(tmp_path / "a", "routes", "list")
                return [each for each in listed if each["state"] not in ("sent", "committed")]

            # What has arrived is noted a moment later.
            until(lambda: not unsettled(), 120)
            totals = described(tmp_path / "a", "routes", "list")
            # Rules are reloaded as a whole, or not at all.
            config = tmp_path / "a" / "pacs.toml"
            text = config.read_text()
            more = '[plugin.routing.rules.{}]\nto = ["{}"]\nwhere = {{ Modality = "NM" }}\n'
            config.write_text(text + more.format("good", "dcmtk") + more.format("bad", "nobody"))
            pacs(tmp_path / "a", "reload", code=1)
            config.write_text(text + more.format("good", "dcmtk"))
            pacs(tmp_path / "a", "reload")
            (nuclear,) = store(again.port, [SampleStudy().make("NM")])
            until(lambda: nuclear in files_in(received))
    assert {(each["rule"], each["peer"]): each["instances"] for each in totals} == {
        ("ct", "dcmtk"): 40, ("ct", "archive2"): 40, ("mr", "web2"): 6, ("us", "archive2"): 3,
    }  # fmt: skip


async def instances_of(node):
    query = Query(Level.IMAGE, ())
    return [each.identity.sop_instance_uid async for each in node.archive.instances(query)]


def test_a_study_is_complete_when_its_modality_says_so_and_all_is_there(tmp_path):
    """PS3.4 F.7.2.2: COMPLETED, with all instances; one that is missing, or late, is waited for."""
    study = SampleStudy()
    samples = [study.make("CT") for _ in range(4)]
    begun = sample_attributes()
    scheduled = tag_of("ScheduledStepAttributesSequence")
    item = {**begun[scheduled][0], tag_of("StudyInstanceUID"): (study.study_instance_uid,)}
    begun[scheduled] = (item,)
    sequence = tag_of("PerformedSeriesSequence")
    images = tuple(
        {
            tag_of("ReferencedSOPClassUID"): (sample.sop_class_uid,),
            tag_of("ReferencedSOPInstanceUID"): (sample.sop_instance_uid,),
        }
        for sample in samples[:3]
    )
    series = {
        **begun[sequence][0],
        tag_of("SeriesInstanceUID"): (str(samples[0].values["SeriesInstanceUID"]),),
        tag_of("ReferencedImageSequence"): images,
        tag_of("ReferencedNonImageCompositeSOPInstanceSequence"): (),
    }
    ended = {
        tag_of("PerformedProcedureStepStatus"): ("COMPLETED",),
        tag_of("PerformedProcedureStepEndDate"): ("20260131",),
        tag_of("PerformedProcedureStepEndTime"): ("0945",),
        sequence: (series,),
    }
    with Receiver("AI") as ai:
        tables = rules({"ai": ai}, {"all": {"to": ["ai"], "on": "study"}})
        tables["archive"]["study_quiet_time"] = 3600.0
        tables["plugin"]["sop-mpps"] = {"completes_studies": True}
        # Who may know as well, and does not, is not in the way.
        tables["plugin"]["sop-storage-commitment"] = {"completes_studies": True}
        plugins = (*PLUGINS, "sop-mpps", "sop-storage-commitment")
        with node_thread(tmp_path, tables, plugins=plugins) as node:
            steps = node.node.opened.node.find(PerformedProcedureSteps)
            node.call(steps.create, "1.2.840.1", begun)
            there = store(node.port, samples[:2])
            node.call(steps.change, "1.2.840.1", ended)
            there += store(node.port, samples[2:3])  # only now it is complete
            until(lambda: len(ai.received) == 3)
            late = store(node.port, samples[3:])
            until(lambda: len(ai.received) == 4)
    assert sorted(ai.received[:3]) == sorted(there)
    assert ai.received[3:] == late
