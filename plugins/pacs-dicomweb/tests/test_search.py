"""QIDO-RS over the wire (PS3.18 §10.6)."""

import pytest

from pacs_core.dataset import keyword_of, tag_of
from pacs_core.testing.datasets import SampleStudy

STUDY_TABLE = {
    "StudyDate", "StudyTime", "AccessionNumber", "InstanceAvailability", "ModalitiesInStudy",
    "ReferringPhysicianName", "RetrieveURL", "PatientName", "PatientID", "PatientBirthDate",
    "PatientSex", "StudyInstanceUID", "StudyID", "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
}  # fmt: skip


def words(result):
    return {keyword_of(int(tag, 16)) for tag in result}


def value(result, keyword):
    return result[f"{tag_of(keyword):08X}"].get("Value", [None])[0]


@pytest.fixture
def study():
    return SampleStudy()


@pytest.fixture(scope="module")
def two_studies(shared):
    shared.store(
        SampleStudy().make("CT", PatientID="P1", PatientName="Doe^Jane", StudyDate="20240110"),
        SampleStudy().make("MR", PatientID="P2", PatientName="Doe^John", StudyDate="20240210"),
    )
    return shared


def test_studies(door, study):
    web = door()
    name = {"PatientName": "Doe^Jane=土井", "SpecificCharacterSet": "ISO_IR 192"}
    web.store(study.make("CT", **name), study.make("MR", **name))
    response = web.get("/studies")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    assert response.headers["x-total-count"] == "1"
    [found] = response.json()
    assert words(found) - {"TimezoneOffsetFromUTC"} == STUDY_TABLE
    assert value(found, "PatientName") == {"Alphabetic": "Doe^Jane", "Ideographic": "土井"}
    assert sorted(found["00080061"]["Value"]) == ["CT", "MR"]
    assert value(found, "NumberOfStudyRelatedInstances") == 2
    assert value(found, "RetrieveURL") == f"{web.url}/studies/{study.study_instance_uid}"
    assert value(found, "InstanceAvailability") == "ONLINE"


def test_series_and_instances(door, study):
    web = door()
    ct, other = study.make("CT"), study.make("CT")
    web.store(ct, other, study.make("MR"))
    uid, series = study.study_instance_uid, ct.values["SeriesInstanceUID"]
    found = web.found(f"/studies/{uid}/series?Modality=CT")
    assert [value(each, "SeriesInstanceUID") for each in found] == [series]
    assert value(found[0], "NumberOfSeriesRelatedInstances") == 2
    assert value(found[0], "RetrieveURL") == f"{web.url}/studies/{uid}/series/{series}"
    assert "PatientName" not in words(found[0])
    assert "Rows" not in words(found[0])
    assert "PatientName" in words(web.found("/series")[0])
    found = web.found(f"/studies/{uid}/series/{series}/instances")
    assert {value(each, "SOPInstanceUID") for each in found} == {
        ct.sop_instance_uid,
        other.sop_instance_uid,
    }
    assert "Modality" not in words(found[0])
    assert value(found[0], "RetrieveURL").endswith(
        f"/series/{series}/instances/{value(found[0], 'SOPInstanceUID')}"
    )
    assert {"Modality", "Rows"} <= words(web.found(f"/studies/{uid}/instances")[0])
    assert {"PatientName", "Modality", "Rows"} <= words(web.found("/instances")[0])


def test_ohif_asks_for_studies(door, study):
    web = door()
    web.store(study.make("CT", StudyDescription="Chest"))
    [found] = web.found(
        "/studies?limit=101&offset=0&fuzzymatching=true"
        "&includefield=00081030%2C00080060%2C00080090%2C00100030"
    )
    assert value(found, "StudyDescription") == "Chest"
    assert "Modality" not in words(found)


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("PatientID=P1", 1),
        ("00100020=P1", 1),
        ("PatientName=Doe*", 2),
        ("PatientName=doe%5Ejane", 1),
        ("PatientName=D?e*&PatientID=P2", 1),
        ("StudyDate=20240101-20240131", 1),
        ("StudyDate=20240101-", 2),
        ("ModalitiesInStudy=MR", 1),
        ("ModalitiesInStudy=CT%5CMR", 2),
        ("PatientID=", 2),
        ("PatientID=nobody", 0),
        ("fuzzymatching=true&PatientName=Doh", 2),
        ("Modality=CT", 1),
    ],
)
def test_matching(two_studies, query, number):
    assert len(two_studies.found(f"/studies?{query}")) == number


@pytest.mark.parametrize(
    ("dates", "times", "found"),
    [
        ("20240131-20240202", "2000-0600", ["0500", "0700", "2300", "0500"]),
        ("20240131-20240202", "0600-2000", ["0500", "0700", "2300", "0500", "0700"]),
        ("20240201-", "2000-", ["2300", "0500", "0700"]),
        ("-20240201", "-0600", ["0500"]),
        ("20240201", "0600-2359", ["0700", "2300"]),
    ],
)
def test_dates_are_matched_with_their_times(door, study, dates, times, found):
    """Ranges of both are one range of moments (PS3.18 §8.3.4.1.1, PS3.4 C.2.2.2.5.4)."""
    web = door()
    moments = [("20240201", "0500"), ("20240201", "0700"), ("20240201", "2300")]
    for day, hour in (*moments, ("20240202", "0500"), ("20240202", "0700")):
        web.store(SampleStudy().make("CT", StudyDate=day, StudyTime=hour))
    results = web.found(f"/studies?StudyDate={dates}&StudyTime={times}&orderby=StudyDate,StudyTime")
    assert [each["00080030"]["Value"][0] for each in results] == found


def test_list_of_uids_and_sequences(door):
    web = door()
    studies = [SampleStudy() for _ in range(3)]
    request = ({"ScheduledProcedureStepID": "S7", "RequestedProcedureID": "R1"},)
    web.store(
        studies[0].make("CT", RequestAttributesSequence=request), *(s.make() for s in studies[1:])
    )
    uids = [s.study_instance_uid for s in studies]
    assert len(web.found(f"/studies?StudyInstanceUID={uids[0]},{uids[1]}")) == 2
    [found] = web.found("/series?RequestAttributesSequence.ScheduledProcedureStepID=S7")
    assert value(found, "StudyInstanceUID") == uids[0]
    assert found["00400275"]["Value"][0]["00401001"]["Value"] == ["R1"]


def test_items_of_requests_have_both_identifiers(door):
    """Table 10.6.3-4: the sequence if it is known, and in its items both IDs, known or not."""
    web = door()
    study = SampleStudy()
    request = ({"ScheduledProcedureStepID": "S7"}, {"RequestedProcedureID": "R2"})
    asked = study.make("CT", RequestAttributesSequence=request)
    web.store(asked, SampleStudy().make("MR"))
    [found] = web.found(f"/studies/{study.study_instance_uid}/series")
    items = found["00400275"]["Value"]
    assert [sorted(each) for each in items] == [["00400009", "00401001"]] * 2
    assert items[0]["00400009"]["Value"] == ["S7"]
    assert "Value" not in items[0]["00401001"]
    assert "Value" not in items[1]["00400009"]
    [without] = web.found("/series?Modality=MR")
    assert "00400275" not in without


def test_pages_are_stable_and_sorted(door):
    web = door()
    web.store(
        *(SampleStudy().make(PatientID=f"P{n}", StudyDate=f"2024010{n}") for n in range(1, 8))
    )
    pages = [web.get(f"/studies?limit=3&offset={offset}") for offset in (0, 3, 6, 9)]
    assert [len(page.json()) for page in pages] == [3, 3, 1, 0]
    assert {page.headers["x-total-count"] for page in pages} == {"7"}
    assert "4 additional results" in pages[0].headers["warning"]
    assert "warning" not in pages[2].headers
    found = [value(each, "PatientID") for page in pages for each in page.json()]
    assert sorted(found) == [f"P{n}" for n in range(1, 8)]
    found = web.found("/studies?orderby=-StudyDate&limit=2")
    assert [value(each, "PatientID") for each in found] == ["P7", "P6"]


def test_limits_and_fields(door, study):
    web = door(max_results=2)
    web.store(*(SampleStudy().make(StudyDescription="Chest") for _ in range(3)))
    response = web.get("/studies?limit=99999999999999999999")
    assert len(response.json()) == 2
    assert "1 additional" in response.headers["warning"]
    assert web.is_well()
    assert web.get("/studies?limit=0").json() == []
    assert web.get("/studies?limit=0").headers["x-total-count"] == "3"
    [found, _] = web.found("/studies?includefield=all")
    assert "StudyDescription" in words(found)


def test_warnings(door, study):
    web = door(fuzzy_names=False)
    web.store(study.make())
    response = web.get("/studies?fuzzymatching=true&StationAETitle=X&nonsense=1")
    assert len(response.json()) == 1
    assert "Only literal matching" in response.headers["warning"]
    assert "nonsense" in response.headers["warning"]


def test_nothing_found(shared):
    web = shared
    response = web.get("/studies?PatientID=nobody")
    assert (response.status_code, response.json()) == (200, [])


def test_nothing_found_without_content(door):
    web = door(no_results=204)
    response = web.get("/studies?PatientID=nobody")
    assert (response.status_code, response.content) == (204, b"")


def test_xml(door, study, wire):
    web = door()
    web.store(study.make("CT", PatientName="Döe^Jane", SpecificCharacterSet="ISO_IR 192"))
    response = web.get("/studies", 'multipart/related; type="application/dicom+xml"')
    [(headers, content)] = wire.read_parts(response)
    assert headers["content-type"] == "application/dicom+xml"
    assert "<FamilyName>Döe</FamilyName>" in content.decode()
    assert f"/studies/{study.study_instance_uid}" in content.decode()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/dicom+json"),
        ("*/*", "application/dicom+json"),
        ("application/json", "application/json"),
        ("text/html, application/dicom+json;q=0.1", "application/dicom+json"),
    ],
)
def test_accept(shared, accept, kind):
    assert shared.get("/studies", accept).headers["content-type"] == kind


@pytest.mark.parametrize("accept", ["text/csv", "garbage", "application/dicom+json;q=0"])
def test_not_acceptable(shared, accept):
    web = shared
    response = web.get("/studies", accept)
    assert response.status_code == 406
    assert response.headers["content-type"] == "application/problem+json"
    assert "application/dicom+json" in response.json()["detail"]
    assert web.get("/studies?accept=application/dicom+json", accept).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/studies?limit=-1",
        "/studies?offset=x",
        "/studies?PatientId=1",
        "/studies?StudyDate=yesterday",
        "/studies?StudyDate=20240102-20240101",
        "/studies?StudyInstanceUID=1.2.*",
        "/studies?PatientID=%FF%FE",
        "/studies?orderby=PixelData",
        "/studies?orderby=Rows",
        "/studies/1.2.x/series",
        f"/studies/{'1.' * 33}1/series",
        "/studies/1%00/series",
        "/studies/../series/x/instances",
    ],
)
def test_mistakes_are_told(shared, path):
    web = shared
    response = web.get(path)
    assert response.status_code in {400, 404}
    assert response.headers["content-type"] == "application/problem+json"
    assert web.is_well()


def test_slashes_in_uids_lead_nowhere(shared):
    web = shared
    assert web.get("/studies/..%2F..%2Fetc%2Fpasswd/series").status_code == 404
    assert web.is_well()


def test_methods(shared):
    web = shared
    assert web.client.head("/studies").headers["content-type"] == "application/dicom+json"
    assert web.client.options("/studies").headers["allow"] == "GET, POST, HEAD, OPTIONS"
    response = web.client.delete("/series")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


def test_the_index_alone_answers(door):
    """Whatever is searched needs no object: here there is none any more."""
    web = door()
    study = SampleStudy()
    ct, mr = study.make("CT", PatientName="Doe^Jane"), study.make("MR", PatientName="Doe^Jane")
    web.store(ct, mr, SampleStudy().make("CT", PatientName="Roe^Richard"))
    within = f"/studies/{study.study_instance_uid}"
    series = f"{within}/series/{ct.values['SeriesInstanceUID']}"
    resources = "/studies", "/series", "/instances", f"{within}/series", f"{within}/instances"
    keys = (
        "PatientName=Doe*",
        "PatientName=Doe*&includefield=all",
        f"StudyInstanceUID={study.study_instance_uid}",
    )
    asked = [f"{each}?{key}" for each in (*resources, f"{series}/instances") for key in keys]
    before = [web.found(each) for each in asked]
    assert [len(found) for found in before] == [n for n in (1, 2, 2, 2, 2, 1) for _ in keys]
    objects = list(web.node.data_directory.rglob("*.dcm"))
    assert len(objects) == 3
    for each in objects:
        each.unlink()
    assert web.get(f"{series}/instances/{ct.sop_instance_uid}").status_code == 404
    assert [web.found(each) for each in asked] == before
    assert web.stored() == 3
