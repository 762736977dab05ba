"""Two nodes: one holds everything and has rules, the other holds what these permit and no more.

Whatever is asked of both, as somebody whom rules restrict, is answered alike: that is the proof
that what is hidden does not exist for them. Who asks is known by a token of an identity provider
(OpenID Connect), which says the role, at both doors.
"""

import time
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from attrs import define, frozen
from importlib_metadata import EntryPoint
from pacs_auth_oidc.testing import run_provider
from pacs_jobs.api import JobQueue, NewJob
from pacs_sop_mpps.api import PerformedProcedureSteps
from pacs_sop_mpps.testing import sample_attributes as performed_attributes
from pacs_sop_ups.api import UnifiedProcedureSteps
from pacs_sop_ups.testing import sample_attributes as unified_attributes
from pacs_sop_worklist.api import Worklist, steps_of
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, MRImageStorage

from pacs_core.dataset import tag_of
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_thread

PLUGINS = (
    "web", "dicomweb", "web-ui", "access-rules", "store-filesystem", "index-sqlite", "audit-json",
    "database", "sop-worklist", "sop-ups", "sop-mpps", "sop-storage", "sop-query-retrieve",
    "sop-verification", "codec-basic", "image-export", "jobs", "auth-local", "auth-oidc",
)  # fmt: skip
SEEN, MIXED, HIDDEN, NOWHERE = "1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.9"
RECENT = (date.today() - timedelta(days=10)).strftime("%Y%m%d")
OLD = "20100102"

FORMS = {
    "value": "may = {read}\nwhere.Modality = 'CT'",
    "list": "may = {read}\nwhere.Modality = ['CT', 'US']",
    "wild-card": "may = {read}\nwhere.Modality = 'C?'",
    "alternatives": "may = {read}\nwhere = [{{ Modality = 'CT' }}, {{ Modality = 'XA' }}]",
    "unless": "may = {read}\nunless.Modality = 'MR'",
    "sop-class": "may = {read}\nwhere.SOPClassUID = '1.2.840.10008.5.1.4.1.1.2'",
    "series": "may = {read}\nwhere.SeriesInstanceUID = ['1.2.3.1.1', '1.2.3.2.1']",
    "institution": "may = {read}\nwhere.InstitutionName = 'St. *'",
    "body-part": "may = {read}\nwhere.BodyPartExamined = 'CHEST'",
    "referrer": "may = {read}\nwhere.ReferringPhysicianName = 'House^*'",
    "issuer": "may = {read}\nwhere = {{ IssuerOfPatientID = 'HOSP', Modality = 'CT' }}",
    "age": "may = {read}\nwhere.StudyDate = {{ newer_than = '1 year' }}",
    "old-age": "may = {read}\nunless.StudyDate = {{ older_than = '1 year' }}",
    "range": "may = {read}\nwhere.StudyDate = '20200101-'",
    "sequence": "may = {read}\nwhere.ProcedureCodeSequence = {{ CodeValue = 'C1' }}",
    "deny-first": "may_not = {read}\nwhere.Modality = 'MR'\n{rule}\nmay = {read}",
    "empty": "may = {read}\nunless.BodyPartExamined = ['HEAD', '']",
    "two-rules": "may = {read}\nwhere.StudyInstanceUID = '1.2.3.1'\n{rule}\n"
    "may = {read}\nwhere = {{ StudyInstanceUID = '1.2.3.2', Modality = 'CT' }}",
    "everything": "may = '*'\nwhere.Modality = 'CT'",
    "many": "{rule}\n".join(
        f"{'may' if n % 2 else 'may_not'} = {{read}}\nwhere.PatientID = 'Q{n}'\n" for n in range(80)
    )
    + "{rule}\nmay = {read}\nwhere.Modality = 'CT'",
    "emergency": "may = '*'\nemergency = true\n{rule}\nmay = {read}\nwhere.Modality = 'CT'",
}
"""Forms of rules, by the name of their role: each permits the CT of the studies, no more."""
NOT_SAID = {"sop-class", "series"}
"""Roles whose rules are about what no order says: they see no step of the worklist."""
READ = "['query', 'retrieve', 'move', 'delete', 'workflow']"


def policy():
    """Return rules of every form, each about one role, and AE title by network."""
    rules = ["role = 'admin'\nmay = '*'"]
    rules += ["ae_title = 'CLI'\nnetwork = '127.0.0.0/8'\nmay = ['query', 'retrieve', 'echo']\n"
              "where.Modality = 'CT'".replace(", 'echo'", "")]  # fmt: skip
    rules += [
        "role = 'scanner'\nmay = 'store'\nwhere.Modality = 'CT'",
        "role = 'sender'\nmay = ['query', 'move', 'workflow']\nto = 'DEST'",
        "role = 'follower'\nmay = ['query', 'move', 'workflow']\nto = 'FOLLOW*'\n"
        "where.PatientID = 'FOLLOWED'",
    ]
    for name, text in FORMS.items():
        head = f"role = '{name}'"
        rules.append(f"{head}\n{text.format(read=READ, rule=f'[[rule]]{chr(10)}{head}')}")
    return "".join(f"[[rule]]\n{rule}\n" for rule in rules)


EVERYTHING = """
[[rule]]
may = "*"

[[rule]]
role = "nobody"
may = "*"
emergency = true
"""


@lru_cache
def instances():
    """Return all that there is: CT that rules permit, MR that they hide; of two patients."""
    found = []
    for study, patient, modalities in (
        (SEEN, "P1", ("CT", "CT")),
        (MIXED, "P1", ("CT", "CT", "MR")),
        (HIDDEN, "P2", ("MR", "MR")),
    ):
        sample = SampleStudy(study)
        for number, modality in enumerate(modalities, 1):
            found.append(make(sample, study, modality, number, patient))
    return found


def make(sample, study, modality, number, patient="P1"):
    is_ct = modality == "CT"
    series = f"{study}.{1 if is_ct else 2}"
    values = {
        "PatientID": patient,
        "PatientName": f"Patient^{patient}",
        "IssuerOfPatientID": "HOSP",
        "StudyDescription": f"of {modality}",
        "SeriesDescription": f"series of {modality}",
        "InstitutionName": "St. Elsewhere" if is_ct else "Other",
        "ReferringPhysicianName": "House^Gregory" if is_ct else "Who^Doctor",
        "StudyDate": RECENT if is_ct else OLD,
        "ProcedureCodeSequence": ({"CodeValue": "C1" if is_ct else "M1"},),
        "SeriesInstanceUID": series,
        "SOPInstanceUID": f"{series}.{number}",
        "InstanceNumber": str(number),
    }
    values |= {"BodyPartExamined": "CHEST"} if is_ct else {}
    return sample.make(modality, **values)


STEPS = (
    (1, "CT", SEEN, f"{SEEN}.1.1"),
    (2, "CT", MIXED, f"{MIXED}.1.1"),
    (3, "MR", MIXED, f"{MIXED}.2.3"),
    (4, "MR", HIDDEN, f"{HIDDEN}.2.1"),
)
"""Number, modality, study, and UID of steps that have one: CT that rules permit, and MR."""
MOMENT = time.time()
"""When steps were created."""


def patient(number, modality):
    """Return what steps say as images do."""
    is_ct = modality == "CT"
    return {
        "PatientID": f"P{number}",
        "IssuerOfPatientID": "HOSP",
        "PatientName": f"Patient^P{number}",
        "InstitutionName": "St. Elsewhere" if is_ct else "Other",
        "ReferringPhysicianName": "House^Gregory" if is_ct else "Who^Doctor",
        **({"BodyPartExamined": "CHEST"} if is_ct else {}),
    }


def code(modality):
    return {"CodeValue": f"{modality[0]}1", "CodeMeaning": modality}


def scheduled_steps():
    """Return steps of the worklist."""
    for number, modality, study, _ in STEPS:
        own = {
            "Modality": modality,
            "ScheduledProcedureStepID": f"S{number}",
            "ScheduledProcedureStepStartDate": RECENT if modality == "CT" else OLD,
            "ScheduledStationAETitle": "MODALITY",
            "ScheduledProcedureStepStatus": "STARTED",  # so that the images do not move it on
        }
        entry = {
            **patient(number, modality),
            "StudyInstanceUID": study,
            "RequestedProcedureID": f"R{number}",
            "RequestedProcedureCodeSequence": code(modality),
            "ScheduledProcedureStepSequence": own,
        }
        yield from steps_of(_attributes(entry))


def unified_step(number, modality, study):
    """Return the attributes of a unified procedure step, which say more than they have to."""
    own = {
        **patient(number, modality),
        "Modality": modality,
        "StudyInstanceUID": study,
        "StudyDate": RECENT if modality == "CT" else OLD,
        "ReferencedRequestSequence": {
            "StudyInstanceUID": study,
            "AccessionNumber": f"A{number}",
            "RequestedProcedureID": f"R{number}",
            "RequestedProcedureDescription": f"of {modality}",
            "RequestedProcedureCodeSequence": code(modality),
        },
    }
    return unified_attributes() | _attributes(own)


def performed_step(number, modality, study):
    """Return the attributes of a performed step; it names what it made, and an MR besides."""
    series = f"{study}.{1 if modality == 'CT' else 2}"
    own = {
        **patient(number, modality),
        "Modality": modality,
        "PerformedProcedureStepStartDate": RECENT if modality == "CT" else OLD,
        "ProcedureCodeSequence": code(modality),
        "ScheduledStepAttributesSequence": {
            "StudyInstanceUID": study,
            "AccessionNumber": f"A{number}",
            "RequestedProcedureID": f"R{number}",
            "ScheduledProcedureStepID": f"S{number}",
        },
        "PerformedSeriesSequence": {
            "SeriesInstanceUID": f"{MIXED}.2" if number == 2 else series,
            "ReferencedImageSequence": {
                "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
                "ReferencedSOPInstanceUID": f"{MIXED}.2.3" if number == 2 else f"{series}.1",
            },
        },
    }
    return performed_attributes() | _attributes(own)


def _attributes(values):
    return {
        tag_of(name): (_attributes(value) if isinstance(value, dict) else value,)
        for name, value in values.items()
    }


@define
class Guarded:
    """A node, and its web server."""

    node: object
    url: str
    token: object

    def client(self, role=""):
        headers = {"host": "127.0.0.1:4711"}
        if role:
            headers["authorization"] = f"Bearer {self.token(role)}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)


@frozen
class Destination:
    """A peer that takes what is sent."""

    port: int
    received: list


@pytest.fixture(scope="session")
def provider():
    """An identity provider whose tokens are good for all tests."""
    with run_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def token(provider):
    """Return a function that returns the token of somebody of a role, who has its name."""
    later = int((datetime.now(UTC) + timedelta(hours=6)).timestamp())

    @cache
    def token(role):
        return provider.token(preferred_username=role, roles=[role], exp=later)

    return token


@pytest.fixture(scope="session")
def ohif(tmp_path_factory):
    """The distribution of OHIF, with the app of a page in its place."""
    app = tmp_path_factory.mktemp("ohif")
    (app / "app.bundle.12ab.js").write_text("ohif")
    (app / "WORKERS").write_text("")
    source = Path(__file__).parents[2] / "contrib" / "pacs-viewer-ohif" / "src"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(source)
        patch.setattr("pacs_viewer_ohif.routes.APP", app)
        yield EntryPoint("viewer-ohif", "pacs_viewer_ohif", "pacs_core.plugins")


@pytest.fixture(scope="session")
def destination():
    """A peer to which both nodes send: its port, and what has arrived there."""
    ae, received = AE("DEST"), []
    for sop_class in (CTImageStorage, MRImageStorage):
        ae.add_supported_context(sop_class)

    def keep(event):
        received.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    yield Destination(server.server_address[1], received)
    server.shutdown()


def start(stack, directory, world, rules, wanted):
    """Start a node that holds the instances for which `wanted` is true."""
    destination, provider, token, ohif = world
    directory.mkdir()
    (directory / "rules.toml").write_text(rules)
    peer = {"host": "127.0.0.1", "port": destination.port}
    tables = {
        "plugin": {
            "access-rules": {"policy": str(directory / "rules.toml")},
            "auth-oidc": {"issuer": provider.issuer, "client_id": "pacs", "anonymous": "allowed"},
            "web-ui": {"deletion": True},
            "sop-worklist": {"complete_with_study": False},
            "dicomweb": {"delete": True},
        },
        "peers": {
            "dest": {"ae_title": "DEST", **peer},
            "elsewhere": {"ae_title": "ELSEWHERE", **peer},
        },
    }
    node = stack.enter_context(node_thread(directory / "data", tables, plugins=(*PLUGINS, ohif)))
    web = node.node.service_sockets["web"][0].getsockname()[1]
    guarded = Guarded(node, f"http://127.0.0.1:{web}", token)
    with guarded.client("admin") as client:
        for sample in filter(wanted, instances()):
            body = part10(sample)
            headers = {"content-type": "application/dicom"}
            response = client.post("/dicom-web/studies", content=body, headers=headers)
            assert response.status_code == 200, response.text
    entries = [step for step in scheduled_steps() if wanted is not is_ct or is_ct_step(step)]
    opened = node.node.opened.node
    node.call(opened.find(Worklist).put, entries, "test")
    with pytest.MonkeyPatch.context() as patch:  # so that both nodes say the same
        clock = SimpleNamespace(time=lambda: MOMENT)
        patch.setattr("pacs_sop_ups.database_steps.time", clock)
        patch.setattr("pacs_sop_mpps.database_steps.time", clock)
        patch.setattr("pacs_sop_ups.machine._now", lambda: "20260131093000")
        for number, modality, study, uid in STEPS:
            if wanted is not is_ct or modality == "CT":
                asked = unified_step(number, modality, study)
                node.call(opened.find(UnifiedProcedureSteps).create, uid, asked)
                made = performed_step(number, modality, study)
                node.call(opened.find(PerformedProcedureSteps).create, uid, made)
    if wanted is not is_ct:
        node.call(opened.find(JobQueue).enqueue, job())
    return guarded


def job():
    """Return a job that says what it is about, and is not done meanwhile."""
    due = datetime.now(UTC) + timedelta(days=1)
    return NewJob("other.job", {"study": HIDDEN}, due=due, key=f"study {HIDDEN}")


def part10(sample):
    from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta

    uids = sample.sop_class_uid, sample.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN
    return file_meta(*uids) + sample.encode()


def is_ct_step(step):
    return step.item[tag_of("Modality")] == ("CT",)


def is_ct(sample):
    return sample.values["Modality"] == "CT"


@pytest.fixture(scope="session")
def world(destination, provider, token, ohif):
    """What is around both nodes."""
    return destination, provider, token, ohif


@pytest.fixture(scope="session")
def guarded(tmp_path_factory, world):
    """The node with everything, and rules."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("guarded") / "node"
        yield start(stack, folder, world, policy(), lambda sample: True)


@pytest.fixture(scope="session")
def oracle(tmp_path_factory, world):
    """The node with what rules permit, and everybody may do everything."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("oracle") / "node"
        yield start(stack, folder, world, EVERYTHING, is_ct)
