"""Who may assess results, and sees them before that, by role and user: over HTTP and by C-GET."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from attrs import define
from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, CTImageStorage, SegmentationStorage
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from pacs_core.testing.waiting import until

GET = "1.2.840.10008.5.1.4.1.2.2.3"  # Study Root
PASSWORD = "correct horse battery staple"
MARKED = "AI, not accepted: Largest bright component"


@define
class Place:
    site: Any
    tools: Any
    url: str

    def http(self, name: str, method: str, path: str, **more: Any) -> httpx.Response:
        address = f"{self.url}/{path}"
        return httpx.request(
            method, address, auth=(name, PASSWORD), timeout=60, trust_env=False, **more
        )

    def retrieve(self, name: str, study: str) -> list[Dataset]:
        """Return what C-GET brings of a study to a user (PS3.4 C.4.3)."""
        found: list[Dataset] = []

        def take(event: Any) -> int:
            found.append(event.dataset)
            return 0

        classes = (CTImageStorage, SegmentationStorage, ComprehensiveSRStorage)
        entity = AE("ANYONE")
        for each in (GET, *classes):
            entity.add_requested_context(each)
        identity = UserIdentityNegotiation()
        identity.user_identity_type = 2
        identity.primary_field, identity.secondary_field = name.encode(), PASSWORD.encode()
        association = entity.associate(
            "127.0.0.1",
            self.site.node.port,
            ae_title="PACS",
            ext_neg=[identity, *(build_role(each, scp_role=True) for each in classes)],
            evt_handlers=[(evt.EVT_C_STORE, take)],
        )
        assert association.is_established
        keys = Dataset()
        keys.QueryRetrieveLevel, keys.StudyInstanceUID = "STUDY", study
        *_, (status, _) = association.send_c_get(keys, GET)
        association.release()
        assert status.Status == 0
        return found

    def ask(self, service: str) -> tuple[str, dict[str, Any]]:
        """Have a service asked about a new study; return it, and results by SOP Class UID."""
        images = self.tools.make_series()
        study = str(images[0].StudyInstanceUID)
        self.site.store(images)
        request = self.site.finish(self.site.ask(service, study).number)
        assert request.state == "answered", request.reason
        until(lambda: len(self.site.instances(study)) == len(images) + 2)
        return study, {r.sop_class_uid: r for r in self.site.results(request=request.number)}


@pytest.fixture(scope="module")
def place(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with tools.run_example("--http", "0") as example:
        push = {"adapter": "rest-push", "url": f"http://127.0.0.1:{example.http}/infer"}
        web = tools.find_free_port()
        with tools.open_site(
            tmp_path_factory.mktemp("site"),
            {"hider": {**push, "unassessed": "hide"}, "marker": {**push, "unassessed": "mark"}},
            plugins=("sop-query-retrieve", "auth-local", "image-export"),
            plugin={"web": {"port": web}},
            ai={"assessors": ["radiologist", "carl"]},
        ) as site:
            config = str(site.node.data_directory / "pacs.toml")
            for name, role in (("anna", "radiologist"), ("bob", "nurse"), ("carl", "nurse")):
                words = ["users", "add", name, "--role", role, "--config", config]
                command = [sys.executable, "-m", "pacs_core.cli.main", *words]
                subprocess.run(command, input=f"{PASSWORD}\n", text=True, check=True)
            yield Place(site, tools, f"http://127.0.0.1:{web}")


def test_only_assessors_assess_and_see_what_is_hidden(place: Place) -> None:
    study, results = place.ask("hider")
    segmentation = results[SegmentationStorage]
    path = f"dicom-web/studies/{study}"
    instance = f"{path}/series/{segmentation.series_uid}/instances/{segmentation.instance_uid}"
    by_uri = f"dicom-web/wado?requestType=WADO&studyUID={study}&seriesUID={segmentation.series_uid}"
    by_uri += f"&objectUID={segmentation.instance_uid}&contentType=application/dicom"
    doors = (instance, f"{instance}/metadata", f"{instance}/frames/1", f"{instance}/rendered",
             by_uri)  # fmt: skip

    def modalities(name: str) -> set[str]:
        by_get = {each.Modality for each in place.retrieve(name, study)}
        found = place.http(name, "GET", f"{path}/series").json()
        assert {each["00080060"]["Value"][0] for each in found} == by_get
        return by_get

    def answers(name: str) -> set[int]:
        return {place.http(name, "GET", each).status_code for each in doors}

    assert modalities("bob") == {"CT"}
    assert answers("bob") == {404}
    assert modalities("anna") == modalities("carl") == {"CT", "SEG", "SR"}
    assert 404 not in answers("anna")
    assess = f"api/ai/results/{segmentation.number}/assess"
    accepted = {"assessment": "accepted"}
    refused = place.http("bob", "POST", assess, json=accepted)
    assert refused.status_code == 403, refused.text
    assert place.site.results(study_uid=study)[0].assessment == ""
    # Of several results each is shown once it has been assessed.
    for name, result in (("anna", segmentation), ("carl", results[ComprehensiveSRStorage])):
        assess = f"api/ai/results/{result.number}/assess"
        answer = place.http(name, "POST", assess, json=accepted)
        assert (answer.status_code, answer.json()["assessed_by"]) == (200, name)
    assert modalities("bob") == {"CT", "SEG", "SR"}
    assert 404 not in answers("bob")


def test_what_is_marked_says_so_by_c_get_and_wado(place: Place) -> None:
    study, results = place.ask("marker")
    segmentation = results[SegmentationStorage]
    path = f"dicom-web/studies/{study}/series/{segmentation.series_uid}/metadata"

    def described() -> set[str]:
        by_get = [e for e in place.retrieve("bob", study) if e.Modality == "SEG"]
        metadata = place.http("bob", "GET", path).json()
        return {each.SeriesDescription for each in by_get} | {
            each["0008103E"]["Value"][0] for each in metadata
        }

    assert described() == {MARKED}
    assess = f"api/ai/results/{segmentation.number}/assess"
    assert place.http("anna", "POST", assess, json={"assessment": "modified"}).status_code == 200
    assert described() == {MARKED.partition(": ")[2]}
