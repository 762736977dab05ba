"""Studies found and read by FHIR, over HTTP; every answer is held against the models of R4."""

from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
from attrs import define
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.imagingstudy import ImagingStudy
from fhir.resources.R4B.operationoutcome import OperationOutcome
from pacs_core.association import Proposal, connect
from pacs_core.contracts import NodeSettings, Setup
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import NodeThread, node_thread
from pacs_core.testing.peer_programs import find_free_port
from pacs_web.api import WebRoutesDescriptor
from pacs_web.testing import WebRoutesContract

from pacs_fhir import FhirConfig, pacs_web_routes
from pacs_fhir.imaging_study import person, started

PLUGINS = (
    "fhir", "web", "dicomweb", "store-filesystem", "index-sqlite", "audit-json", "sop-storage",
    "codec-basic",
)  # fmt: skip
EXPLICIT = "1.2.840.10008.1.2.1"
HOSPITAL, CITY = "urn:oid:1.2.276.0.76.4.1", "https://city.example/patients"
MODELS = {
    "Bundle": Bundle,
    "CapabilityStatement": CapabilityStatement,
    "ImagingStudy": ImagingStudy,
    "OperationOutcome": OperationOutcome,
}


class TestRoutes(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return pacs_web_routes(Setup(NodeSettings(), {FhirConfig: FhirConfig()}))[0]


@define
class Site:
    """A node, and its FHIR server."""

    node: NodeThread
    url: str

    def store(self, *instances: Any) -> str:
        async def send() -> None:
            contexts = [Proposal(uid, (EXPLICIT,)) for uid in {i.sop_class_uid for i in instances}]
            async with connect(self.node.peer, contexts) as association:
                for each in instances:
                    answer = await association.c_store(
                        each.sop_class_uid, each.sop_instance_uid, each.encode()
                    )
                    assert answer.status == 0

        anyio.run(send)
        return str(instances[0].values["StudyInstanceUID"])

    def ask(self, path: str, status: int = 200, **parameters: str) -> dict[str, Any]:
        """Return a resource, which is what the standard says that it is."""
        answer = httpx.get(
            f"{self.url}/{path}", params=parameters or None, trust_env=False, timeout=60
        )
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("application/fhir+json")
        resource: dict[str, Any] = answer.json()
        MODELS[resource["resourceType"]].model_validate(resource)
        return resource

    def find(self, **parameters: str) -> list[str]:
        bundle = self.ask(
            "ImagingStudy", **{k.replace("__", ":"): v for k, v in parameters.items()}
        )
        found = [each["resource"]["id"] for each in bundle.get("entry", ())]
        assert bundle["total"] >= len(found)
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port = find_free_port()
    fhir = {
        "systems": {"": HOSPITAL, "CITY": CITY},
        "accession_system": "urn:oid:1.2.276.0.76.4.2",
        "max_results": 3,
        "max_instances": 4,
    }
    tables = {
        "plugin": {"fhir": fhir, "web": {"port": port}},
        "archive": {"space": {"reserve": 0}},
    }
    with node_thread(tmp_path_factory.mktemp("site"), tables, plugins=PLUGINS) as node:
        yield Site(node, f"http://127.0.0.1:{port}/fhir")


DESCRIBED = {
    "PatientID": "4711", "PatientName": "Doe^Jane^^Dr", "StudyDate": "20260131",
    "StudyTime": "101500", "StudyDescription": "CT of the chest", "AccessionNumber": "A-17",
    "ReferringPhysicianName": "House^Gregory",
}  # fmt: skip


@pytest.fixture(scope="module")
def stored(site: Site) -> tuple[str, list[Any]]:
    study = SampleStudy()
    images = [study.make(each, **DESCRIBED) for each in ("CT", "CT", "SR")]
    return site.store(*images), images


def test_a_study_is_read_with_its_series_and_instances(site: Site, stored: Any) -> None:
    uid, images = stored
    study = site.ask(f"ImagingStudy/{uid}")
    assert study["id"] == uid
    assert study["identifier"][0] == {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}
    assert study["identifier"][1]["value"] == "A-17"
    assert study["subject"]["identifier"] == {"value": "4711", "system": HOSPITAL}
    assert study["subject"]["display"] == "Dr Jane Doe"
    assert study["started"].startswith("2026-01-31T10:15:00")
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (2, 3)
    assert study["description"] == "CT of the chest"
    assert study["referrer"]["display"] == "Gregory House"
    assert {each["code"] for each in study["modality"]} == {"CT", "SR"}
    listed = {
        (series["uid"], instance["uid"], instance["sopClass"]["code"])
        for series in study["series"]
        for instance in series["instance"]
    }
    assert listed == {
        (str(e.values["SeriesInstanceUID"]), e.sop_instance_uid, f"urn:oid:{e.sop_class_uid}")
        for e in images
    }
    (endpoint,) = study["contained"]
    # What the resource names is had where the endpoint says.
    series = study["series"][0]["uid"]
    url = f"{endpoint['address']}/studies/{uid}/series/{series}"
    answer = httpx.get(url, trust_env=False, timeout=60)
    assert answer.status_code == 200
    assert b"DICM" in answer.content


def test_studies_are_found_by_whatever_names_them(site: Site, stored: Any) -> None:
    uid, _ = stored
    of_city = site.store(SampleStudy().make("MR", PatientID="4711", IssuerOfPatientID="CITY"))
    assert set(site.find(patient__identifier="4711")) == {uid, of_city}
    assert site.find(patient__identifier=f"{HOSPITAL}|4711") == [uid]
    assert site.find(**{"patient.identifier": f"{CITY}|4711"}) == [of_city]
    assert site.find(patient__identifier="urn:oid:9.9|4711") == []
    assert site.find(patient__identifier="47") == []
    assert site.find(identifier=f"urn:dicom:uid|urn:oid:{uid}") == [uid]
    assert site.find(identifier="A-17") == [uid]
    assert site.find(identifier="urn:oid:1.2.276.0.76.4.2|A-17") == [uid]
    assert site.find(identifier="https://other.example|A-17") == []
    assert site.find(_id=uid, modality="SR,PT") == [uid]
    assert site.find(_id=uid, modality="http://dicom.nema.org/resources/ontology/DCM|MR") == []
    for when in ("2026", "2026-01", "2026-01-31", "ge2026-01-31", "lt2026-02", "sa2026-01-30"):
        assert site.find(_id=uid, started=when) == [uid], when
    for when in ("2025", "gt2026-01-31", "gt2026", "le2026-01-30", "eb2026"):
        assert site.find(_id=uid, started=when) == [], when
    answer = site.ask("ImagingStudy", _id=uid)
    (entry,) = answer["entry"]
    assert entry["fullUrl"] == f"{site.url}/ImagingStudy/{uid}"
    assert entry["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"


def test_pages_follow_each_other(site: Site) -> None:
    uids = {site.store(SampleStudy().make("CT", PatientID="PAGES")) for _ in range(5)}
    seen: list[str] = []
    url = f"{site.url}/ImagingStudy?patient:identifier=PAGES&_count=2"
    while url:
        bundle = httpx.get(url, trust_env=False, timeout=60).json()
        Bundle.model_validate(bundle)
        assert bundle["total"] == 5
        seen += [each["resource"]["id"] for each in bundle["entry"]]
        url = next((each["url"] for each in bundle["link"] if each["relation"] == "next"), "")
    assert len(seen) == 5
    assert set(seen) == uids
    assert len(site.find(patient__identifier="PAGES")) == 3  # max_results


def test_a_large_study_says_that_it_is_not_whole(site: Site) -> None:
    study = SampleStudy()
    uid = site.store(*(study.make("CT") for _ in range(5)))
    read = site.ask(f"ImagingStudy/{uid}")
    assert read["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert read["numberOfInstances"] == 5
    assert "instance" not in read["series"][0]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("ImagingStudy/1.2.3", 404, "not-found"),
        ("ImagingStudy/1.02", 404, "not-found"),
        ("ImagingStudy?patient=Patient/1", 400, "invalid"),
        ("ImagingStudy?patient:identifier=", 400, "invalid"),
        ("ImagingStudy?patient:identifier=x|", 400, "invalid"),
        ("ImagingStudy?patient:identifier=1%5C2", 400, "invalid"),
        ("ImagingStudy?_id=1.2,1.3", 400, "invalid"),
        ("ImagingStudy?started=yesterday", 400, "invalid"),
        ("ImagingStudy?started=2026-02-30", 400, "invalid"),
        ("ImagingStudy?started=gt9999-12-31", 400, "invalid"),
        ("ImagingStudy?modality=urn:x|CT", 400, "invalid"),
        ("ImagingStudy?_count=-1", 400, "invalid"),
        ("ImagingStudy?_count=9999999999999", 400, "invalid"),
        ("ImagingStudy?_format=xml", 406, "not-supported"),
    ],
)
def test_what_is_wrong_is_an_operation_outcome(
    site: Site, path: str, status: int, code: str
) -> None:
    (issue,) = site.ask(path, status)["issue"]
    assert (issue["severity"], issue["code"]) == ("error", code)
    assert issue["diagnostics"]


def test_searches_that_can_find_nothing_find_nothing(site: Site, stored: Any) -> None:
    assert site.find(_id="' OR 1=1 --") == []
    assert site.find(identifier="urn:dicom:uid|x") == []
    assert site.find(patient__identifier="*") == []


def test_what_is_offered_is_stated(site: Site) -> None:
    statement = site.ask("metadata")
    (resource,) = statement["rest"][0]["resource"]
    assert {each["code"] for each in resource["interaction"]} == {"read", "search-type"}
    assert statement["implementation"]["url"] == site.url


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Doe^Jane", "Jane Doe"), ("^^^Dr^", "Dr"), ("=山田^太郎", "太郎 山田"), ("", ""), ("^^", "")],
)
def test_names_are_for_people(name: str, expected: str) -> None:
    assert person(name) == expected


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [("20260131", "", "2026-01-31"), ("2026.01.31", "x", "2026-01-31"), ("20260231", "10", "")],
)
def test_when_it_started(date: str, time: str, expected: str) -> None:
    assert started(date, time) == expected
