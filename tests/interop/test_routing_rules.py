"""What rules say beyond where to: forms, times, order, commitment; and peers that are away."""

import socket
import threading
from datetime import datetime, timedelta
from getpass import getuser
from pathlib import Path
from queue import Queue

import anyio
import pytest
from attrs import evolve
from pacs_routing import RoutingConfig
from pacs_routing.routes import Routes
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.contracts import Setup
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, node_thread
from pacs_core.testing.waiting import until

from .receivers import BASE, PLUGINS, Receiver, described, pacs, pydicom_of, rules, store

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Keeper(Receiver):
    """A peer that is asked to commit to what it has, and answers as it is told (PS3.4 J.3)."""

    def __init__(self):
        contexts = [build_context(each) for each in (CTImageStorage, StorageCommitmentPushModel)]
        super().__init__("KEEPER", contexts)
        self.handlers = ((evt.EVT_N_ACTION, self._asked),)
        self.node_port = 0
        self.refuse, self.lost = [], {}
        self.asked = []

    def _asked(self, event):
        request = event.action_information
        self.asked.append([each.ReferencedSOPInstanceUID for each in request.ReferencedSOPSequence])
        if self.refuse:
            return self.refuse.pop(0), None
        threading.Thread(target=self._report, args=(request,)).start()
        return 0x0000, None

    def _report(self, request):
        report, lost = Dataset(), []
        report.TransactionUID = request.TransactionUID
        report.ReferencedSOPSequence = []
        for item in request.ReferencedSOPSequence:
            if reasons := self.lost.get(item.ReferencedSOPInstanceUID):
                item.FailureReason = reasons.pop(0)
                lost.append(item)
            else:
                report.ReferencedSOPSequence.append(item)
        if lost:
            report.FailedSOPSequence = lost
        ae = AE("KEEPER")
        ae.add_requested_context(StorageCommitmentPushModel)
        roles = [build_role(StorageCommitmentPushModel, scp_role=True)]
        association = ae.associate("127.0.0.1", self.node_port, ae_title="PACS", ext_neg=roles)
        association.send_n_event_report(
            report, 2 if lost else 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        association.release()


def closed_hours():
    """An hour that is neither now nor soon."""
    begin = datetime.now().astimezone() + timedelta(hours=2)
    return f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A node whose rules go by who sends."""
    directory = tmp_path_factory.mktemp("routing-rules")
    night = [closed_hours()]
    with (
        Receiver("AI") as ai,
        Receiver("OTHER") as other,
        Keeper() as keeper,
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        later = Receiver("LATER")
        receivers = {"ai": ai, "other": other, "keeper": keeper, "later": later}
        # It takes connections, and never says a word.
        host, port = silent.getsockname()
        receivers["mute"] = {"ae_title": "MUTE", "host": host, "port": port}
        tables = rules(
            receivers,
            {
                "research": {"sources": ["RESEARCH"], "to": ["ai"], "deidentify": "basic"},
                "strict": {"sources": ["STRICT"], "to": ["ai"], "deidentify": "strict"},
                "night": {"sources": ["NIGHT"], "to": ["ai"], "hours": night},
                "day": {"sources": ["DAY"], "to": ["ai"]},
                "imported": {"interfaces": ["import"], "users": [getuser()], "to": ["other"]},
                "nobody": {"called": ["NOT-THIS-ONE"], "to": ["other"]},
                "kept": {"sources": ["KEPT"], "to": ["keeper"], "commit": True},
                "stat": {"sources": ["STAT"], "to": ["later"], "priority": 10},
                "routine": {
                    "sources": ["ROUTINE"],
                    "to": ["mute", "later", "other"],
                    "ordered": True,
                },
            },
            refusals=3,
            batch=5,
        )
        profiles = {"strict": {"options": ["clean-pixel-data"]}}
        tables["plugin"]["deidentify"] = {"profiles": profiles}
        plugins = (*PLUGINS, "sop-storage-commitment", "deidentify")
        with node_thread(directory, tables, plugins=plugins) as node:
            keeper.node_port = node.port
            yield node, receivers, directory
        later.down()


def states_of(directory, uid):
    # 1 as long as no rule has been followed.
    found = described(directory, "routes", "show", uid, code=(0, 1))
    return {each["state"] for each in found}


def test_what_goes_to_research_is_deidentified_and_noted_as_what_it_became(site):
    """PS3.15 Annex E: names go, UIDs are new ones, and the archive keeps what it has."""
    node, receivers, directory = site
    (uid,) = store(node.port, [SampleStudy().make("CT", PatientName="Secret^Name")], "RESEARCH")
    until(lambda: states_of(directory, uid) == {"sent"})
    (delivery,) = described(directory, "routes", "show", uid)
    assert delivery["sent_as"] != uid
    received = receivers["ai"].datasets[delivery["sent_as"]]
    assert "Secret" not in str(received)
    assert received.PatientIdentityRemoved == "YES"
    assert uid not in receivers["ai"].received


def test_what_another_process_took_goes_by_its_door_and_by_whom(site):
    """The node knows of it from the index alone; what comes by an association does not go there."""
    directory = site[-1]
    sample = SampleStudy().make("CT")
    file = directory / "imported.dcm"
    pydicom_of(sample).save_as(file, enforce_file_format=True)
    pacs(directory, "import", str(file))
    until(lambda: states_of(directory, sample.sop_instance_uid) == {"sent"})
    (delivery,) = described(directory, "routes", "show", sample.sop_instance_uid)
    assert (delivery["rule"], delivery["peer"]) == ("imported", "other")
    supposed = ("--interface", "import", "--user", "x")
    told = pacs(directory, "routes", "test", str(file), *supposed, code=1)
    assert f"no   users {getuser()}: x" in told
    assert "yes  interfaces import: import" in told


def test_what_cannot_be_deidentified_is_not_sent_as_it_is(site):
    """Text may be burnt into ultrasound (PS3.15 E.3.1), and nothing is known of the device."""
    node, receivers, directory = site
    study = SampleStudy()
    samples = [study.make("US"), study.make("CT")]
    before = len(receivers["ai"].received)
    burnt, fine = store(node.port, samples, "STRICT")
    until(lambda: states_of(directory, fine) == {"sent"})
    until(lambda: states_of(directory, burnt) == {"failed"})
    (delivery,) = described(directory, "routes", "show", burnt)
    assert "text may be burnt in" in delivery["reason"]
    assert len(receivers["ai"].received) == before + 1


def test_hours_hold_back_their_rule_alone_and_other_hours_open_it(site):
    """What one rule sends at night keeps nothing of another from the same peer by day."""
    node, receivers, directory = site
    routes = node.node.opened.node.find(Routes)
    (night,) = store(node.port, [SampleStudy().make("CT")], "NIGHT")
    until(lambda: states_of(directory, night) == {"waiting"})
    (day,) = store(node.port, [SampleStudy().make("CT")], "DAY")
    until(lambda: day in receivers["ai"].received)
    assert night not in receivers["ai"].received
    rules = {**routes.config.rules, "night": evolve(routes.config.rules["night"], hours=())}
    config = evolve(routes.config, rules=rules)
    setup = Setup(node.node.opened.node.settings, {RoutingConfig: config})
    node.call(routes.reconfigure, setup)
    until(lambda: night in receivers["ai"].received)


def test_what_is_not_committed_to_is_sent_again_and_given_up_in_the_end(site):
    """PS3.4 J.3.2.2: a request is refused; then it fails for one, then for none but another."""
    node, receivers, directory = site
    keeper = receivers["keeper"]
    samples = [SampleStudy().make("CT") for _ in range(3)]
    fine, again, never = (sample.sop_instance_uid for sample in samples)
    keeper.refuse = [0x0213]  # resource limitation
    keeper.lost = {again: [0x0112], never: [0x0112] * 10}  # no such object instance
    store(node.port, samples, "KEPT")
    until(lambda: states_of(directory, fine) == {"committed"}, 60)
    until(lambda: states_of(directory, again) == {"committed"}, 60)
    until(lambda: states_of(directory, never) == {"failed"}, 60)
    assert (
        "does not commit to it: 0112H" in described(directory, "routes", "show", never)[0]["reason"]
    )
    assert keeper.received.count(again) == 2
    assert keeper.received.count(fine) == 1
    assert keeper.refuse == []


def test_a_peer_that_is_away_gets_all_once_stat_before_all_else(site):
    """Another has it meanwhile, and one that says nothing delays none; studies come in order."""
    node, receivers, directory = site
    other, later = receivers["other"], receivers["later"]
    studies = [SampleStudy() for _ in range(3)]
    samples = [study.make("CT") for _ in range(10) for study in studies]
    routine = store(node.port, samples, "ROUTINE")
    until(lambda: set(routine) <= set(other.received))
    stat = store(node.port, [SampleStudy().make("CT") for _ in range(3)], "STAT")
    show = ("routes", "list", "--state", "waiting", "--limit", "100")
    until(lambda: set(stat) <= {each["instance"] for each in described(directory, *show)})
    assert later.received == []
    *stat, unwanted = stat
    pacs(directory, "routes", "cancel", unwanted)
    assert states_of(directory, unwanted) == {"cancelled"}
    later.up()
    until(lambda: {*routine, *stat} <= set(later.received), 60)
    assert sorted(later.received) == sorted([*routine, *stat])  # each of them once
    assert sorted(later.received[: len(stat)]) == sorted(stat)
    for receiver in (other, later):
        came = [uid for uid in receiver.received if uid in routine]
        for number in range(len(studies)):
            of_study = routine[number :: len(studies)]
            assert [uid for uid in came if uid in of_study] == of_study


def commit(port, uids):
    """Ask the node to commit to instances, as a modality does that has sent everything."""
    request = Dataset()
    request.TransactionUID = generate_uid()
    request.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
        request.ReferencedSOPSequence.append(item)
    reports = Queue()

    def take(event):
        reports.put(event.event_type)
        return 0x0000, None

    ae = AE("MODALITY")
    ae.add_requested_context(StorageCommitmentPushModel)
    handlers = [(evt.EVT_N_EVENT_REPORT, take)]
    association = ae.associate("127.0.0.1", port, ae_title="PACS", evt_handlers=handlers)
    status, _ = association.send_n_action(
        request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    assert status.Status == 0x0000
    assert reports.get(timeout=60) == 1  # all of them (PS3.4 Table J.3-2)
    association.release()


def test_a_study_is_complete_once_all_of_it_is_committed_to(tmp_path):
    """Also after a restart in between; what comes late reopens it until that is committed to."""
    study = SampleStudy()
    with Receiver("AI") as ai:
        tables = rules({"ai": ai}, {"all": {"to": ["ai"], "on": "study"}})
        tables["archive"]["study_quiet_time"] = 3600.0
        tables["plugin"]["sop-storage-commitment"] = {"completes_studies": True, "wait": 60.0}
        # Who may know as well, and does not, is not in the way.
        tables["plugin"]["sop-mpps"] = {"completes_studies": True}
        plugins = (*PLUGINS, "sop-storage-commitment", "sop-mpps")
        with node_thread(tmp_path, tables, plugins=plugins) as node:
            first = store(node.port, [study.make("CT") for _ in range(2)])
        with node_thread(tmp_path, tables, plugins=plugins) as node:
            commit(node.port, first[:1])
            second = store(node.port, [study.make("CT")])
            commit(node.port, [*first[1:], *second])
            until(lambda: len(ai.received) == 3)
            assert sorted(ai.received) == sorted([*first, *second])
            late = store(node.port, [study.make("CT")])
            commit(node.port, late)
            until(lambda: len(ai.received) == 4)
    assert ai.received[3:] == late


def test_a_study_goes_once_as_many_instances_are_there_as_are_expected(tmp_path):
    """However they come, and what comes after them at once."""
    study = SampleStudy()
    with Receiver("AI") as ai:
        rule = {"to": ["ai"], "on": "study", "where": {"Modality": "MG"}, "count": 4}
        tables = rules({"ai": ai}, {"views": {**rule, "whole_study": True}})
        tables["archive"]["study_quiet_time"] = 3600.0
        with node_thread(tmp_path, tables, plugins=PLUGINS) as node:
            came = store(node.port, [study.make("MG"), study.make("SR"), study.make("MG")])
            came += store(node.port, [study.make("MG")])
        assert ai.received == []
        with node_thread(tmp_path, tables, plugins=PLUGINS) as node:
            came += store(node.port, [study.make("MG")])
            until(lambda: set(came) <= set(ai.received))
            came += store(node.port, [study.make("MG")])
            until(lambda: set(came) <= set(ai.received))
    assert sorted(ai.received) == sorted(came)


def resident(process):
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024


async def store_many(peer, samples):
    """Store by our own requestor, which is quicker."""
    async with connect(peer, [Proposal(CTImageStorage, (EXPLICIT,))]) as association:
        for sample in samples:
            uid, content = sample.sop_instance_uid, sample.encode()
            assert (await association.c_store(CTImageStorage, uid, content)).status == 0x0000
    return [sample.sop_instance_uid for sample in samples]


@pytest.mark.long
def test_a_peer_that_is_away_under_load_costs_rows_and_no_memory(tmp_path):
    later = Receiver("LATER")
    with Receiver("OTHER") as other:
        tables = rules({"later": later, "other": other}, {"all": {"to": ["later", "other"]}})
        with node_process(tmp_path, tables, plugins=("routing", *BASE)) as node:
            sent, sizes = [], []
            for _ in range(4):
                study = SampleStudy()
                sent += anyio.run(store_many, node.peer, [study.make("CT") for _ in range(1000)])
                until(lambda: set(sent) <= set(other.received), 300)  # noqa: B023
                sizes.append(resident(node.process))
            assert sizes[-1] - sizes[0] < 16 << 20, sizes
            later.up()
            until(lambda: set(sent) <= set(later.received), 300)
            assert len(later.received) == len(sent)
            assert len(other.received) == len(sent)
            assert resident(node.process) - sizes[0] < 32 << 20
    later.down()
