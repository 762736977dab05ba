"""What DCMTK's storescp gets by a profile of de-identification, searched for what tells of whom.

Each way out of a node goes by the same profile (PS3.15 Annex E): rules of routing, C-MOVE to a
peer, and WADO-URI. The search knows nothing of the profile: it is given what was sent in.
"""

from io import BytesIO

import httpx
import pytest
from pacs_deidentify.evidence import gather_evidence
from pacs_deidentify.leaks import find_leaks
from pydicom import dcmread

from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_thread
from pacs_core.testing.waiting import until

from .receivers import PLUGINS, described, pydicom_of, rules, store

NAMES = ("sop-query-retrieve", "deidentify", "web", "dicomweb", "codec-basic", "image-export")
TELLING = {
    "PatientName": "Okonkwo^Marisol",
    "PatientID": "MRN-77120",
    "PatientBirthDate": "19610423",
    "AccessionNumber": "ACC90211",
    "StudyDate": "20230817",
    "StudyDescription": "CT chest for Okonkwo, MRN-77120",
    "SeriesDescription": "seen by Dr. Lindqvist on 23.04.1961",
    "ReferringPhysicianName": "Lindqvist^Per",
    "InstitutionName": "Mercy West",
    "ImageComments": "call Marisol OKONKWO, MRN-77120",
    "ProtocolName": "chest of 1961-04-23",
}


@pytest.fixture
def site(destination, tmp_path):
    """A node with a CT image, and storescp under three names: of a route, and of two peers."""
    port, received = destination()
    peer = {"host": "127.0.0.1", "port": port}
    peers = {
        "research": {**peer, "ae_title": "RESEARCH"},
        "careful": {**peer, "ae_title": "CAREFUL", "deidentify": "basic"},
        "careless": {**peer, "ae_title": "CARELESS", "deidentify": "careless"},
    }
    rule = {"sources": ["MODALITY"], "to": ["research"], "deidentify": "basic"}
    tables = rules(peers, {"research": rule})
    profiles = {"careless": {"keep": ["PatientID"], "prove": True}}
    tables["plugin"] |= {"web": {"port": 0}, "deidentify": {"profiles": profiles}}
    sample = SampleStudy().make("CT", **TELLING)
    directory = tmp_path / "data"
    with node_thread(directory, tables, plugins=(*PLUGINS, *NAMES)) as node:
        (uid,) = store(node.port, [sample])
        until(lambda: {e["state"] for e in described(directory, "routes", "show", uid, code=(0, 1))}
              == {"sent"})  # fmt: skip
        yield node, received, pydicom_of(sample)


def test_no_door_lets_anything_out_that_tells_of_whom(site, dcmtk):
    node, received, was = site
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={was.StudyInstanceUID}")

    def move(title):
        address = ("-aem", title, "127.0.0.1", node.port)
        return dcmtk.run("movescu", "-v", "-S", *keys, *address, code=None)

    (routed,) = list(received.iterdir())
    move("CAREFUL")
    (moved,) = set(received.iterdir()) - {routed}
    assert dcmread(moved) == dcmread(routed)  # one instance, whichever way it goes
    port = node.node.service_sockets["web"][0].getsockname()[1]
    asked = {
        "requestType": "WADO",
        "studyUID": was.StudyInstanceUID,
        "seriesUID": was.SeriesInstanceUID,
        "objectUID": was.SOPInstanceUID,
        "contentType": "application/dicom",
        "anonymize": "yes",
    }
    answer = httpx.get(f"http://127.0.0.1:{port}/dicom-web/wado", params=asked, trust_env=False)
    assert answer.status_code == 200, answer.text
    evidence = gather_evidence(was, ())
    assert evidence.groups["patient"]
    for content in (routed.read_bytes(), moved.read_bytes(), answer.content):
        found = find_leaks(BytesIO(content), evidence)
        assert (found.leaks, found.searched > 1000) == ((), True)
        assert [word for word in ("Okonkwo", "MRN", "Lindqvist") if word.encode() in content] == []
        assert dcmread(BytesIO(content)).PatientIdentityRemoved == "YES"
    move("CARELESS")  # what would still show the Patient ID is found, and stays here
    assert set(received.iterdir()) == {routed, moved}
