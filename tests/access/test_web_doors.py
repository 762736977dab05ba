"""Every route of the web server, asked by those whom rules of every form restrict (PS3.18)."""

import io
import re
import zipfile

import httpx
import pytest
from pacs_web.contributions import collect_sections

from pacs_core.testing.datasets import SampleStudy

from .conftest import (
    FORMS,
    HIDDEN,
    MIXED,
    NOT_SAID,
    NOWHERE,
    SEEN,
    STEPS as ALL_STEPS,
    instances,
    make,
    part10,
)

DIFFERENT = {
    "/access/override": "who may break the glass",
    "/health/": "what the node lacks",
    "/health/ready": "what the node lacks",
    "/health/details/": "how long checks took",
    "/ui/node": "disk and addresses",
    "/ui/node/configuration": "files of the node",
    "/api/node": "addresses of the node",
    "/api/peers": "only for who may look at the node",
    "/api/node/status": "how long it runs",
    "/api/node/configuration": "files of the node",
    "/ui/query": "only for who may ask peers",
    "/api/peers/{peer}/studies": "only for who may ask peers",
    "/auth/oidc/login": "words made at random",
    "/ui/studies/{study}/history": "what was done on the one node and not on the other",
}
"""Routes that two nodes answer differently without rules, and why. Hidden and unknown are alike."""

RESOURCES = {
    "seen": (SEEN, f"{SEEN}.1", f"{SEEN}.1.1"),
    "part": (MIXED, f"{MIXED}.1", f"{MIXED}.1.1"),
    "hidden-part": (MIXED, f"{MIXED}.2", f"{MIXED}.2.3"),
    "hidden-instance-of-seen-series": (MIXED, f"{MIXED}.1", f"{MIXED}.2.3"),
    "hidden": (HIDDEN, f"{HIDDEN}.2", f"{HIDDEN}.2.1"),
}
"""Study, series and instance."""
OTHERS = {
    "frames": "1", "reference": "7FE00010", "peer": "dest", "name": "style.css", "number": "1",
}  # fmt: skip
JOBS = ("/api/jobs", "/ui/jobs")
"""Compared by themselves: about no instances, so that a rule with conditions lets nobody there."""
STEPS = ("/api/worklist", "/ui/worklist", "/api/mpps", "/ui/mpps", "/dicom-web/workitems")
"""Compared by themselves: some rules are about what no order and no step says."""

SEARCHES = (
    "",
    "includefield=all",
    "ModalitiesInStudy=MR",
    "ModalitiesInStudy=CT",
    "Modality=MR",
    "Modality=*",
    "PatientID=P2",
    "PatientID=P*&includefield=all",
    "PatientName=Patient*",
    "fuzzymatching=true&PatientName=Patient",
    "StudyDescription=of%20MR",
    "StudyDescription=*MR*",
    "SeriesDescription=*MR",
    "ReferringPhysicianName=Who*",
    "StudyDate=20000101-20151231",
    "NumberOfStudyRelatedInstances=3",
    "NumberOfStudyRelatedInstances=2&includefield=NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedSeries=2",
    f"StudyInstanceUID={HIDDEN}",
    f"StudyInstanceUID={HIDDEN},{SEEN}",
    f"SeriesInstanceUID={MIXED}.2",
    f"SOPInstanceUID={MIXED}.2.3",
    "SOPClassUID=1.2.840.10008.5.1.4.1.1.4",
    "limit=1",
    "limit=0",
    "offset=1",
    "limit=1&offset=2",
    "orderby=StudyDate",
    "orderby=-StudyDescription&limit=1",
    "sort=-StudyDate",
)
LISTS = ("/dicom-web/studies", "/dicom-web/series", "/dicom-web/instances",
         f"/dicom-web/studies/{MIXED}/series", f"/dicom-web/studies/{MIXED}/instances",
         f"/dicom-web/studies/{HIDDEN}/series")  # fmt: skip
PAGES = (
    "q=", "q=P2", "q=of%20MR", "q=P", "ModalitiesInStudy=MR", "from=2000-01-01&to=2015-12-31",
    "sort=study_date", "sort=-study_description", "limit=1", "limit=1&offset=1", "offset=2",
    "PatientName=Patient", "StudyDescription=*MR*",
)  # fmt: skip
WADO = "requestType=WADO&studyUID={0}&seriesUID={1}&objectUID={2}"
OBJECTS = ("", "&contentType=application/dicom", "&contentType=image/jpeg", "&frameNumber=1")


@pytest.fixture(scope="session")
def routes(guarded):
    """Return the paths of all routes, with their methods."""
    node = guarded.node

    def find():
        from pacs_web.doors import own_routes

        _, sections = collect_sections(node.node.opened.node, own_routes(lambda: False))
        found = {}
        for each in sections:
            for route in each.routes:
                if not hasattr(route, "methods"):
                    continue  # WebSockets, see test_steps
                methods = found.setdefault(each.descriptor.prefix + route.path, set())
                methods |= route.methods or {"GET"}
        return found

    found = node.call(find)
    assert "/dicom-web/studies/{study}/series/{series}/instances/{instance}/rendered" in found
    assert "/ui/studies/{study}/series/{series}" in found
    return found


def fill(path, uids):
    values = dict(zip(("study", "series", "instance"), uids, strict=True)) | OTHERS
    values["workitem"] = uids[2]
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda match: values.get(match[1], "other"), path)


def reads(routes, resource):
    """Return a target for each route that is read, about a resource."""
    found = [
        fill(path, RESOURCES[resource]) for path, methods in routes.items() if "GET" in methods
    ]
    found += [f"/dicom-web/wado?{WADO.format(*RESOURCES[resource])}{more}" for more in OBJECTS]
    return found


def scrub(response):
    """Return what is said, without what differs from one answer to the next."""
    differs = ("date", "set-cookie", "x-request-id")
    headers = {k: v for k, v in response.headers.items() if k not in differs}
    body = response.content
    kind = headers.get("content-type", "")
    if kind.startswith("application/zip"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            body = repr(sorted((n, archive.read(n)) for n in archive.namelist())).encode()
        headers.pop("content-length", None)
    if match := re.search(r'boundary="?([^";]+)', kind):
        body = body.replace(match[1].encode(), b"BOUNDARY")
        headers["content-type"] = kind.replace(match[1], "BOUNDARY")
    body = re.sub(rb'"request": ?"H\d+"', b'"request":"H"', body)
    body = re.sub(rb"\bH\d+\b", b"H", body) if response.status_code >= 400 else body
    body = re.sub(rb'(name="csrf" value|data-csrf|csrf-token" content)="[^"]*"', rb"\1", body)
    body = re.sub(rb'(href="/auth/">)[^<]*', rb"\1", body)  # who it is
    if response.status_code >= 400 or "html" in kind:
        headers.pop("content-length", None)  # numbers of requests grow
    return response.status_code, headers, body


_ANSWERS = {}


def expected(oracle, target, **headers):
    key = (target, *headers.items())
    if key not in _ANSWERS:
        with oracle.client("admin") as client:
            _ANSWERS[key] = scrub(client.get(target, headers=headers))
    return _ANSWERS[key]


def compare(guarded, oracle, role, targets, **headers):
    with guarded.client(role) as client:
        for target in targets:
            answer = scrub(client.get(target, headers=headers))
            assert answer == expected(oracle, target, **headers), (role, target, headers)
            assert answer[0] < 500 or answer[0] == 501, (target, answer)


def template_of(routes, target):
    """Return the route of a target."""
    for resource in RESOURCES.values():
        for path in routes:
            if fill(path, resource) == target:
                return path
    return ""


def is_comparable(path):
    """Tell whether two nodes answer a route alike to who may see all that they have."""
    return path not in DIFFERENT and not path.startswith((*JOBS, *STEPS))


ROLES = tuple(FORMS)
COMBINATIONS = [(ROLES[0], each) for each in RESOURCES] + [
    (role, each)
    for number, role in enumerate(ROLES[1:])
    for each in ("part", ("hidden-part", "hidden")[number % 2])
]
"""Every form with a study of which a part is hidden; and with something that is hidden, of whose
routes all but the first form are asked for a third."""


@pytest.mark.parametrize(("role", "resource"), COMBINATIONS)
def test_every_route(guarded, oracle, routes, role, resource):
    """It answers as a node does that holds no more than is permitted."""
    targets = [t for t in reads(routes, resource) if is_comparable(template_of(routes, t))]
    if role != ROLES[0]:
        targets = [target for target in targets if RESOURCES[resource][0] in target]
        if resource != "part":
            targets = targets[ROLES.index(role) % 3 :: 3]
    compare(guarded, oracle, role, targets)


SHARES = [(ROLES[0], slice(None))] + [
    (role, slice(number % 10, None, 10)) for number, role in enumerate(ROLES[1:])
]
"""The first form is asked for in every way, the others each in a share of them."""


@pytest.mark.parametrize(("role", "share"), SHARES, ids=ROLES)
def test_searches(guarded, oracle, role, share):
    targets = [f"{path}?{query}" for path in LISTS for query in SEARCHES]
    targets += [f"{path}?{query}" for path in ("/ui/", "/api/studies") for query in PAGES]
    compare(guarded, oracle, role, targets[share])


WORKLISTS = (
    "", "?PatientID=P3", "?PatientName=Patient", "?Modality=MR", "?Modality=M*",
    "?ScheduledStationAETitle=MODALITY", "?AccessionNumber=*", "?all=on&PatientID=P4",
)  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_worklist(guarded, oracle, role):
    """As at the DIMSE door: the steps of hidden images are hidden, and cannot be cancelled."""
    targets = [f"/ui/worklist/{query}" for query in WORKLISTS]
    targets += [f"/api/worklist{query.replace('all=on', 'all=true')}" for query in WORKLISTS]
    targets += [f"/{door}/worklist/{number}" for door in ("ui", "api") for number in range(3, 6)]
    with guarded.client(role) as client:
        if role in NOT_SAID:
            assert client.get("/api/worklist").json()["steps"] == []
        else:
            compare(guarded, oracle, role, targets)
        # Some may do nothing but read; for the others there is no such step.
        assert client.post("/api/worklist/3/cancel").status_code in {403, 404}
    with guarded.client("admin") as admin:
        assert admin.get("/api/worklist/3").json()["state"] == "STARTED"


STEP_LISTS = tuple(
    f"{path}{query}"
    for path in ("/api/mpps", "/ui/mpps/")
    for query in ("", "?PatientID=P3", "?PatientName=Patient*", "?Modality=MR", "?Modality=M*",
                  "?state=COMPLETED", "?from=2000-01-01", "?limit=1", f"?before={HIDDEN}.2.1")
    if "from" not in query or "ui" in path
) + tuple(
    f"/dicom-web/workitems{query}"
    for query in ("", "?PatientID=P3", "?PatientName=*P4", "?Modality=M*", "?limit=1", "?offset=1",
                  f"?ReferencedRequestSequence.StudyInstanceUID={MIXED}",
                  f"?StudyInstanceUID={HIDDEN}",
                  "?ProcedureStepState=SCHEDULED&includefield=PatientID", "?includefield=all")
)  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_performed_and_unified_steps(guarded, oracle, role):
    """MPPS and UPS-RS, lists and single ones: a step is there for who may see its images."""
    single = [
        f"{path}/{uid}"
        for path in ("/api/mpps", "/ui/mpps", "/dicom-web/workitems")
        for *_, uid in ALL_STEPS
    ]
    if role not in NOT_SAID:
        compare(guarded, oracle, role, (*STEP_LISTS, *single))
        return
    with guarded.client(role) as client:
        assert client.get("/api/mpps").json() == {"steps": [], "has_more": False}
        assert client.get("/dicom-web/workitems").status_code == 204
        assert {client.get(target).status_code for target in single} == {404}


def test_there_are_performed_and_unified_steps_to_hide(guarded, oracle):
    with guarded.client("admin") as client:
        # Other tests of these nodes make more.
        assert len(client.get("/api/mpps").json()["steps"]) >= 4
        assert len(client.get("/dicom-web/workitems").json()) >= 4
        shown = [scrub(client.get(target)) != expected(oracle, target) for target in STEP_LISTS]
    # Those that find nothing: no step is completed.
    assert shown.count(False) <= 4


def test_the_oracle_shows_and_hides(oracle, guarded, routes):
    """The comparison is of something: whoever may see all gets other answers."""
    shown = [expected(oracle, target)[0] for target in reads(routes, "seen")]
    assert shown.count(200) > 30
    hidden = [t for t in reads(routes, "hidden") if HIDDEN in t]
    assert len(hidden) > 30
    with guarded.client("admin") as client:
        for target in hidden:
            if not is_comparable(template_of(routes, target)):
                continue
            assert expected(oracle, target)[0] in {404, 400, 200}, target
            assert scrub(client.get(target)) != expected(oracle, target), target


def twins(routes):
    """Yield targets of hidden things, each with one that differs in a UID that does not exist."""
    for resource, (old, new) in {
        "hidden": (HIDDEN, NOWHERE),
        "hidden-part": (f"{MIXED}.2", f"{MIXED}.8"),
        "hidden-instance-of-seen-series": (f"{MIXED}.2.3", f"{MIXED}.8.3"),
    }.items():
        for target in reads(routes, resource):
            if old in target:
                yield target, target.replace(old, new), old, new


@pytest.mark.parametrize("role", ["value", "deny-first", "emergency"])
def test_hidden_and_unknown_are_alike(guarded, routes, role):
    """To the byte, but for the UID; also if the client claims to have the answer already."""
    with guarded.client("admin") as admin, guarded.client(role) as client:
        for hidden, unknown, old, new in twins(routes):
            tag = admin.get(hidden).headers.get("etag", "*") if role == "value" else "*"
            conditions = ({}, {"if-none-match": tag}, {"if-match": tag}, {"range": "bytes=0-9"},
                          {"if-modified-since": "Fri, 31 Dec 2100 00:00:00 GMT"})  # fmt: skip
            for headers in conditions if role == "value" else conditions[:2]:
                one = scrub(client.get(hidden, headers=headers))
                two = scrub(client.get(unknown, headers=headers))
                assert one[0] != 304, hidden
                assert one[:1] == two[:1], (hidden, headers)
                assert one[1] == {k: v.replace(new, old) for k, v in two[1].items()}, hidden
                assert one[2] == two[2].replace(new.encode(), old.encode()), (hidden, headers)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "POST", "PUT", "PATCH"])
def test_other_methods(guarded, routes, method):
    """They tell nothing of what is hidden, and change nothing of it."""
    with guarded.client("value") as client:
        for hidden, unknown, old, new in twins(routes):
            one = scrub(client.request(method, hidden))
            two = scrub(client.request(method, unknown))
            assert one[0] == two[0], hidden
            assert one[0] >= 400 or method in ("HEAD", "OPTIONS"), hidden
            assert one[2] == two[2].replace(new.encode(), old.encode()), hidden
    with guarded.client("admin") as admin:
        assert admin.get("/dicom-web/instances?limit=0").headers["x-total-count"] == "7"


@pytest.mark.parametrize("role", ["", "unknown", "scanner"])
def test_who_has_no_rule_is_refused_everywhere(guarded, routes, role):
    public = re.compile(r"/|/health/(live|ready)?|/openapi.json|/dicom-web/|/auth/.*|/viewer/.*")
    with guarded.client(role) as client:
        for target in {*reads(routes, "seen"), *reads(routes, "hidden")}:
            if public.fullmatch(target) or re.search("/static/|/files/", target):
                continue
            response = client.get(target)
            assert response.status_code in (400, 403, 405, 406), (target, response.text[:300])
            for uid in (SEEN, HIDDEN):
                assert response.text.count(uid) <= target.count(uid), target


def test_deny_does_not_tell_which_rule(guarded):
    with guarded.client("unknown") as client:
        response = client.get("/dicom-web/studies")
        assert response.status_code == 403
        assert response.json()["detail"] == "no rule allows it"


def jobs_of(client):
    """Return the jobs that no step has brought about."""
    return [job for job in client.get("/api/jobs").json()["jobs"] if job["kind"] == "other.job"]


def test_jobs(guarded, routes):
    """They say which studies they are about, and so nobody sees any whom a rule restricts."""
    with guarded.client("admin") as admin:
        (job,) = jobs_of(admin)
        assert HIDDEN in job["key"]
        assert HIDDEN in admin.get(f"/ui/jobs/{job['number']}").text
    targets = [
        (method, re.sub(r"\{\w+\}", number, path))
        for path, methods in routes.items()
        if path.startswith(JOBS)
        for method in methods
        for number in (str(job["number"]), "4711")
    ]
    assert len(targets) > 10
    for role in (*ROLES, "scanner", "unknown", ""):
        with guarded.client(role) as client:
            for method, target in targets:
                answer = client.request(method, target, headers={"origin": "http://127.0.0.1:4711"})
                assert answer.status_code == 403, (role, method, target)
                assert HIDDEN not in answer.text
    with guarded.client("admin") as admin:
        assert jobs_of(admin) == [job]


@pytest.mark.parametrize("query", ["", "?StudyInstanceUIDs={}", "?StudyInstanceUIDs={},{}"])
def test_the_viewer_has_nothing_of_studies_in_its_page(guarded, query):
    """What it shows it asks DICOMweb for, as who is signed in."""
    pages = set()
    for role in ("value", "unknown", ""):
        with guarded.client(role) as client:
            for uid in (SEEN, HIDDEN, NOWHERE):
                pages.add(client.get("/viewer/viewer" + query.format(uid, uid)).content)
            assert client.get("/viewer/settings.js").text.count("/dicom-web") > 0
    assert len(pages) == 1


# --- who it is


def sees(client):
    answer = client.get("/dicom-web/instances?limit=0")
    return int(answer.headers["x-total-count"]) if answer.status_code == 200 else 0


@pytest.mark.parametrize(
    ("claims", "count"),
    [
        ({"roles": ["porter", "value"]}, 4),
        ({"roles": "porter value"}, 4),
        ({"roles": ["value", "admin"]}, 7),
        ({"roles": []}, 0),
        ({"roles": ["Admin", "admin "]}, 0),
        ({"roles": {"admin": True}}, 0),
        ({"preferred_username": "admin", "groups": ["admin"], "role": "admin"}, 0),
    ],
)
def test_roles_are_what_the_provider_says(guarded, provider, monkeypatch, claims, count):
    """With the token of a machine, and in the session of a person."""
    said = {"preferred_username": "anna", **claims}
    headers = {"authorization": f"Bearer {provider.token(**said)}"}
    with guarded.client() as client:
        answer = client.get("/dicom-web/instances?limit=0", headers=headers)
        assert int(answer.headers.get("x-total-count", 0)) == count
    monkeypatch.setattr(provider, "claims", said)
    with httpx.Client(base_url=guarded.url, timeout=60, trust_env=False) as browser:
        away = browser.get("/auth/oidc/login?next=/ui/").headers["location"]
        back = httpx.get(away, trust_env=False).headers["location"]
        assert browser.get(back).headers["location"] == "/ui/"
        assert sees(browser) == count
        assert browser.get(f"/ui/studies/{HIDDEN}").status_code == (200 if count == 7 else 404
                                                                    if count else 403)  # fmt: skip


def test_no_other_site_changes_anything_by_a_session(guarded, routes, provider, monkeypatch):
    """Every route that changes something, with the cookie of somebody who may do everything."""
    monkeypatch.setattr(provider, "claims", {"preferred_username": "admin", "roles": ["admin"]})
    changes = [
        (method, fill(path, RESOURCES["seen"]))
        for path, methods in routes.items()
        for method in methods - {"GET", "HEAD", "OPTIONS"}
    ]
    assert len(changes) > 20
    with httpx.Client(base_url=guarded.url, timeout=60, trust_env=False) as browser:
        away = browser.get("/auth/oidc/login").headers["location"]
        browser.get(httpx.get(away, trust_env=False).headers["location"])
        for method, target in changes:
            for headers in (
                {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
                {"sec-fetch-site": "same-site"},
                {"origin": "null"},
                {},
            ):
                kind = {"content-type": "application/x-www-form-urlencoded"}
                answer = browser.request(method, target, headers=headers | kind)
                assert answer.status_code == 403, (method, target, headers, answer.text)
        assert sees(browser) == 7


# --- what changes


def counted(guarded, role):
    with guarded.client(role) as client:
        return int(client.get("/dicom-web/instances?limit=0").headers["x-total-count"])


def test_breaking_the_glass(guarded):
    """The page and its JSON; rules before the one for emergencies hold, and it ends."""
    assert counted(guarded, "emergency") == 4
    with guarded.client("emergency") as client:
        page = {"accept": "text/html"}
        assert "Break the glass" in client.get("/access/override", headers=page).text
        assert client.post("/access/override", json={"reason": "short"}).status_code == 400
        assert (
            client.post(
                "/access/override", content=b"[", headers={"content-type": "application/json"}
            ).status_code
            == 400
        )
        evil = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
        reason = {"reason": "the patient is <b>unconscious</b>"}
        assert client.post("/access/override", data=reason, headers=evil).status_code == 403
        assert counted(guarded, "emergency") == 4
        answer = client.post("/access/override", data=reason, headers=page)
        assert (answer.status_code, answer.headers["location"]) == (303, "/access/override")
        assert counted(guarded, "emergency") == 7
        shown = client.get("/access/override", headers=page).text
        assert "the patient is &lt;b&gt;unconscious" in shown
        assert client.get("/access/override").json()["active"] is True
        assert counted(guarded, "value") == 4
        assert client.delete("/access/override").json() == {"active": False, "until": None}
    assert counted(guarded, "emergency") == 4
    for role in ("value", "unknown", ""):
        with guarded.client(role) as client:
            assert client.get("/access/override").status_code == 403
            assert client.post("/access/override", json=reason).status_code == 403


def test_storing(guarded):
    """What may not be stored is refused alike, whether it is there or not."""
    fresh = make(SampleStudy(NOWHERE), NOWHERE, "MR", 1)
    present = [each for each in instances() if each.sop_instance_uid == f"{HIDDEN}.2.1"]
    answers = []
    with guarded.client("scanner") as client:
        for sample in (*present, fresh):
            answer = client.post(
                "/dicom-web/studies",
                content=part10(sample),
                headers={"content-type": "application/dicom"},
            )
            study = sample.values["StudyInstanceUID"]
            answers.append((answer.status_code, answer.text.replace(study, "STUDY")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 403
    assert counted(guarded, "admin") == 7


def test_sending_and_deleting(guarded, destination):
    """A destination is part of the rule; what is hidden is neither sent nor deleted."""
    destination.received.clear()
    with guarded.client("value") as client:
        for uid in (HIDDEN, NOWHERE):
            assert client.post(f"/api/studies/{uid}/send?peer=dest").status_code == 404
            assert client.delete(f"/api/studies/{uid}").status_code == 404
            assert client.delete(f"/dicom-web/studies/{uid}").status_code == 404
        assert client.post(f"/api/studies/{MIXED}/send?peer=dest").status_code == 200
        assert sorted(destination.received) == [f"{MIXED}.1.1", f"{MIXED}.1.2"]
    with guarded.client("sender") as client:
        destination.received.clear()
        sent = client.post(f"/api/studies/{SEEN}/send?peer=elsewhere")
        assert destination.received == [], sent.text
        client.post(f"/api/studies/{SEEN}/send?peer=dest")
        assert len(destination.received) == 2
