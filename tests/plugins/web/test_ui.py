"""Pages and API on a node with an archive: what is shown, changed, and refused."""

import json
import re
from html import unescape

import pytest

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy

from .conftest import run_web, wait_for

PLUGINS = ("web-ui", "dicomweb", "image-export", "codec-basic", "sop-query-retrieve")
XSS = "<script>alert(1)</script>"


def study_of(name, **attributes):
    study = SampleStudy()
    return [study.make("CT", PatientName=name, **attributes) for _ in range(2)]


def part10(dataset):
    """Return a file: file meta information and dataset (PS3.10 §7.1)."""
    uids = dataset.sop_class_uid, dataset.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN
    return file_meta(*uids) + dataset.encode()


def upload(web, datasets):
    with web.client(headers={"content-type": "application/dicom"}) as client:
        for each in datasets:
            response = client.post("/dicom-web/studies", content=part10(each))
            assert response.status_code == 200, response.text


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    """A node that studies are sent to."""
    with run_web(tmp_path_factory.mktemp("ward"), plugins=PLUGINS, node={"port": 0}) as running:
        yield running


@pytest.fixture(scope="module")
def ui(ward, tmp_path_factory):
    """A node with studies, peers, and deletion."""
    peers = {
        "ward": {"ae_title": "PACS", "host": "127.0.0.1", "port": ward.node.port},
        "nobody": {"ae_title": "NOBODY", "host": "127.0.0.1", "port": 1},
    }
    tables = {
        "peers": peers,
        "plugin": {"web": {"port": 0}, "web-ui": {"deletion": True, "page_size": 3}},
    }
    born = {"PatientBirthDate": "19620307"}
    with run_web(tmp_path_factory.mktemp("ui"), plugins=PLUGINS, **tables) as running:
        upload(running, study_of("Doe^Jane", PatientID="P1", StudyDate="20240131", **born))
        upload(running, study_of(f"{XSS}^Evil", PatientID=f'"{XSS}', StudyDescription=XSS))
        for number in range(5):
            upload(running, study_of(f"Many^{number}", StudyDate=f"2020010{number + 1}"))
        yield running


def studies(ui, query=""):
    return ui.get(f"/api/studies?{query}").json()


def test_the_root_leads_to_the_study_list(ui):
    response = ui.get("/")
    assert (response.status_code, response.headers["location"]) == (303, "/ui/")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=jane", {"Doe^Jane"}),
        ("q=JANE+doe", {"Doe^Jane"}),
        ("q=p1", {"Doe^Jane"}),
        ("PatientName=do", {"Doe^Jane"}),
        ("from=2024-01-01&to=2024-12-31&PatientID=P1", {"Doe^Jane"}),
        ("q=7.3.1962", {"Doe^Jane"}),
        ("q=doe+1962-03-07", {"Doe^Jane"}),
        ("q=31.01.2024", {"Doe^Jane"}),
        ("q=31.02.1962", set()),
        ("q=nobody", set()),
        ("q=*", None),
    ],
)
def test_what_is_searched_is_found(ui, query, names):
    found = studies(ui, query + "&limit=100")
    if names is not None:
        assert {each["patient_name"] for each in found["studies"]} == names
        assert found["total"] == len(names)
    page = ui.get(f"/ui/?{query}", headers={"hx-target": "results"})
    assert page.status_code == 200
    assert "<html" not in page.text


def test_pages_and_sorting(ui):
    first = studies(ui, "sort=study_date&PatientName=Many&limit=2")
    second = studies(ui, "sort=study_date&PatientName=Many&limit=2&offset=2")
    assert [first["total"], second["total"]] == [5, 5]
    dates = [each["study_date"] for page in (first, second) for each in page["studies"]]
    assert dates == sorted(dates)
    page = ui.get("/ui/?PatientName=Many&sort=-study_date").text
    assert 'aria-sort="descending"' in page
    (further,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert "4–5 / 5" in ui.get(unescape(further)).text


@pytest.mark.parametrize("query", ["from=nonsense", "limit=x", "sort=evil", "q=" + "a" * 300])
def test_what_cannot_be_searched_is_said(ui, query):
    assert ui.get(f"/api/studies?{query}").status_code == 400
    page = ui.get(f"/ui/?{query}")
    assert page.status_code == 200
    assert 'role="alert"' in page.text


@pytest.mark.parametrize("query", ["patient_name=Many", "patientid=1&limit=1"])
def test_a_name_that_is_misspelt_does_not_find_all(ui, query):
    answer = ui.get(f"/api/studies?{query}")
    assert answer.status_code == 400
    assert "PatientName, PatientID" in answer.json()["detail"]


def follow(ui):
    """Return the addresses of a study, a series and an instance of it."""
    (study,) = studies(ui, "PatientID=P1")["studies"]
    at = f"/ui/studies/{study['study_instance_uid']}"
    api = f"/api/studies/{study['study_instance_uid']}/series"
    (series,) = ui.get(api).json()
    first, second = ui.get(f"{api}/{series['series_instance_uid']}/instances").json()
    assert (first["instance_number"], second["instance_number"]) == ("1", "2")
    of_series = f"{at}/series/{series['series_instance_uid']}"
    return at, of_series, f"{of_series}/instances/{first['sop_instance_uid']}"


def test_study_series_and_instance(ui):
    for path in follow(ui):
        page = ui.get(path)
        assert page.status_code == 200
        assert "Doe, Jane" in page.text
        for source in re.findall(r'<img[^>]* src="([^"]+)"', page.text):
            picture = ui.get(unescape(source))
            assert picture.headers["content-type"] in ("image/jpeg", "image/png")
    assert "<td>PatientID</td><td>LO</td>" in page.text
    assert "<h1>Instance 1</h1>" in page.text
    assert ">Document</a>" not in page.text


def test_a_document_is_a_click_away(ui):
    """Encapsulated PDF and CDA, as DICOMweb renders them (PS3.18 §8.7.4)."""
    cda = b"<ClinicalDocument xmlns='urn:hl7-org:v3'><title>Report</title></ClinicalDocument> "
    as_cda = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.2",
        "MIMETypeOfEncapsulatedDocument": "text/XML",
        "EncapsulatedDocument": cda,
    }
    for values, media_type in (({}, "application/pdf"), (as_cda, "text/html")):
        made = SampleStudy().make("PDF", PatientName="Doc^Ument", **values)
        upload(ui, [made])
        study, series = (made.values[f"{of}InstanceUID"] for of in ("Study", "Series"))
        at = f"/ui/studies/{study}/series/{series}/instances/{made.sop_instance_uid}"
        (link,) = re.findall(r'href="([^"]+)">Document</a>', ui.get(at).text)
        shown = ui.get(
            unescape(link), headers={"accept": "text/html,application/xml;q=0.9,*/*;q=0.8"}
        )
        assert shown.headers["content-type"].startswith(media_type)


def test_pages_do_without_pictures_where_nothing_renders_them(tmp_path):
    plugins = [name for name in PLUGINS if name != "image-export"]
    with run_web(tmp_path, plugins=plugins) as bare:
        upload(bare, study_of("Doe^Jane", PatientID="P1"))
        of_study, of_series, of_instance = follow(bare)
        viewer = of_study.replace("/studies/", "/viewer/")
        pages = [bare.get(path).text for path in (of_study, of_series, of_instance, viewer)]
    assert [page for page in pages if "<img" in page] == []
    assert '<span class="picture">CT</span>' in pages[0]
    assert "2 Instances" in pages[0]


def test_downloads(ui):
    of_study, of_series, of_instance = follow(ui)
    for page in (of_study, of_series):
        (link,) = re.findall(r'href="([^"]+)" download', ui.get(page).text)
        archive = ui.get(unescape(link))
        assert archive.headers["content-type"] == "application/zip"
        assert archive.content.startswith(b"PK")
    (link,) = re.findall(r'href="([^"]+)" download', ui.get(of_instance).text)
    assert ui.get(unescape(link)).content[128:132] == b"DICM"


@pytest.mark.parametrize(
    "path",
    [
        "/ui/studies/1.2",
        "/ui/studies/%3Cscript%3E",
        "/api/studies/1.2",
        "/api/studies/1.2/series",
        "/ui/studies/1.2/series/1.3",
    ],
)
def test_what_is_not_there_is_404(ui, path):
    response = ui.get(path)
    assert response.status_code == 404
    assert "<script>" not in response.text


def test_markup_in_attributes_is_text(ui):
    (study,) = [
        each for each in studies(ui, "limit=100")["studies"] if "Evil" in each["patient_name"]
    ]
    at = f"/ui/studies/{study['study_instance_uid']}"
    pages = [ui.get("/ui/?q=Evil"), ui.get(at), ui.get(f"{at}/delete")]
    series = re.findall(rf'href="({at}/series/[^"]+)"', pages[1].text)[0]
    pages.append(ui.get(series))
    pages.append(ui.get(re.findall(rf'href="({series}/instances/[^"]+)"', pages[-1].text)[0]))
    for page in pages:
        assert page.status_code == 200
        assert XSS not in page.text
        assert "&lt;script&gt;" in page.text
        policy = page.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy


def test_pages_load_only_files_of_ours(ui):
    page = ui.get("/ui/").text
    sources = re.findall(r'(?:src|href)="([^"]+\.(?:js|css|svg))"', page)
    assert len(sources) == 4
    assert all(ui.get(source).status_code == 200 for source in sources)
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|style=", page)
    for name in ("..%2f__init__.py", "../__init__.py", "secret"):
        assert ui.get(f"/ui/static/{name}").status_code == 404


def test_languages(ui):
    german = ui.get("/ui/", headers={"accept-language": "de"})
    assert 'lang="de"' in german.text
    assert "Studien" in german.text
    with ui.client() as client:
        client.get("/ui/?lang=de")
        assert 'lang="de"' in client.get("/ui/node").text


# --- changes


def token_of(page):
    return re.search(r'name="csrf" value="([^"]+)"', page.text)[1]


def test_a_study_is_deleted_after_a_question(ui):
    upload(ui, study_of("Gone^Soon", PatientID="GONE"))
    (study,) = studies(ui, "PatientID=GONE")["studies"]
    at = f"/ui/studies/{study['study_instance_uid']}/delete"
    with ui.client() as client:
        page = client.get(at)
        assert "It is deleted, with all its instances. Instances: 2" in page.text
        assert studies(ui, "PatientID=GONE")["total"] == 1
        for token in ("", "x", "é"):
            assert client.post(at, data={"csrf": token}).status_code == 403
        foreign = {"origin": "https://evil.example"}
        answer = client.post(at, data={"csrf": token_of(page)}, headers=foreign)
        assert answer.status_code == 403
        assert client.post(at, data={"csrf": token_of(page)}).status_code == 303
        assert client.get(f"/api/studies/{study['study_instance_uid']}").status_code == 404
    assert studies(ui, "PatientID=GONE")["total"] == 0


def test_the_api_deletes(ui):
    upload(ui, study_of("Gone^Soon", PatientID="GONE2"))
    (study,) = studies(ui, "PatientID=GONE2")["studies"]
    path = f"/api/studies/{study['study_instance_uid']}"
    with ui.client() as client:
        assert client.delete(path).status_code == 204
        assert client.delete(path).status_code == 404


def test_nothing_is_deleted_where_that_is_off(ward):
    upload(ward, study_of("Kept", PatientID="KEPT"))
    (study,) = studies(ward, "PatientID=KEPT")["studies"]
    with ward.client() as client:
        uid = study["study_instance_uid"]
        assert client.delete(f"/api/studies/{uid}").status_code == 403
        assert client.get(f"/ui/studies/{uid}/delete").status_code == 403
        assert "/delete" not in client.get(f"/ui/studies/{uid}").text
    assert studies(ward, "PatientID=KEPT")["total"] == 1


def test_a_study_is_sent_to_a_peer(ui, ward):
    at = follow(ui)[0]
    with ui.client() as client:
        token = token_of(client.get(at))
        page = client.post(f"{at}/send", data={"csrf": token, "peer": "ward"})
        assert "2 / 2 sent" in page.text
        assert "Done" in page.text
        wait_for(lambda: studies(ward, "PatientID=P1")["total"] == 1, "it has not arrived")
        failed = client.post(f"{at}/send", data={"csrf": token, "peer": "nobody"}).text
        assert "2 failed" in failed
        assert client.post(f"{at}/send", data={"csrf": token, "peer": "x"}).status_code == 404
        report = client.post(f"/api{at.removeprefix('/ui')}/send?peer=ward").json()
        lines = client.post(
            f"/api{at.removeprefix('/ui')}/send?peer=nobody",
            headers={"accept": "application/jsonl"},
        ).text.splitlines()
    assert report == {"total": 2, "arrived": 2, "failed": 0, "reasons": []}
    assert json.loads(lines[-1])["failed"] == 2
    assert "NOBODY" in json.loads(lines[-1])["reasons"][0]


def test_peers_are_asked_whether_they_are_there(ui):
    with ui.client() as client:
        assert client.post("/api/peers/ward/echo").json() == {"answered": True, "reason": ""}
        assert client.post("/api/peers/nobody/echo").json()["answered"] is False
        token = token_of(client.get("/ui/node"))
        page = client.post("/ui/peers/ward/echo", data={"csrf": token})
    assert "answers" in page.text
    assert [each["name"] for each in ui.get("/api/peers").json()] == ["ward", "nobody"]


def test_the_document_has_the_api(ui):
    document = ui.get("/openapi.json").json()
    assert document["paths"]["/api/studies"]["get"]["responses"]["200"]
    assert "Study" in document["components"]["schemas"]
    names = {each["name"] for each in ui.get("/api/node").json()["sections"]}
    assert names >= {"ui", "api", "dicomweb", "health"}


@pytest.mark.parametrize("tail", [b"]" * 10_000, b""], ids=["whole", "cut off"])
def test_bodies_that_are_nested_deeply_harm_nobody(ui, tail):
    """Each POST of the API's document; those that take parameters do not parse a body."""
    names = {"peer": "ward"}
    answers = {}
    with ui.client(headers={"content-type": "application/json"}) as client:
        for path, operations in client.get("/openapi.json").json()["paths"].items():
            if "post" not in operations or not path.startswith("/api/"):
                continue
            target = re.sub(r"\{(\w+)\}", lambda each: names.get(each[1], "1.2"), path)
            response = client.post(target, content=b"[" * 10_000 + tail)
            answers[path] = response.status_code
            assert client.get("/api/studies?q=jane").json()["total"] == 1
    assert answers.pop("/api/peers/{peer}/echo") == 200
    assert answers
    assert set(answers.values()) <= {400, 404, 413}, answers


def test_who_looks_at_what_is_audited(ui):
    ui.get("/api/studies?q=jane")
    for path in follow(ui):
        ui.get(path)

    def events(kind):
        files = ui.node.data_directory.rglob("*.jsonl")
        lines = [json.loads(line) for each in files for line in each.read_text().splitlines()]
        return [each for each in lines if each["event"] == kind]

    viewed = wait_for(
        lambda: [e for e in events("web-ui.viewed") if "instance" in e["details"]], "no event"
    )
    assert {each["host"] for each in viewed} == {"127.0.0.1"}
    searches = [each["details"] for each in events("web-ui.searched")]
    assert {"matches": 1, "q": "jane"} in searches
