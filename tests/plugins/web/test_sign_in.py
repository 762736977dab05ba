"""Signing in over HTTP: pages, sessions, passwords, tokens, certificates, and who tries without."""

import json
import re
import ssl
import sys
from contextlib import redirect_stdout
from io import StringIO

import httpx
import pytest
import trustme

from pacs_core.api.commands import main

from .conftest import run_web, wait_for

PLUGINS = ("auth-local", "web-ui", "dicomweb", "sop-query-retrieve")
PASSWORD = "a password of alice"
STUDIES = "/dicom-web/studies"


def pacs(web, *arguments, stdin=""):
    """Run a command on the node's data directory; return what it prints."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        patch.setattr(sys, "stdin", StringIO(stdin))
        code = main([*arguments, "--data", str(web.node.data_directory)])
    assert code == 0, printed.getvalue()
    return printed.getvalue().strip()


def run_closed(folder, base="", **tables):
    """Run a node with users alice and bob."""
    plugin = {"web": {"port": 0, "base_path": base}, **tables.pop("plugin", {})}
    return run_web(folder, plugins=PLUGINS, plugin=plugin, **tables)


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with run_closed(tmp_path_factory.mktemp("closed")) as running:
        assert running.get(STUDIES).status_code == 200  # nobody is known: all is as before
        pacs(running, "users", "add", "alice", "--role", "physicians", stdin=PASSWORD + "\n")
        yield running


def field(page, name):
    return re.search(rf'name="{name}" value="([^"]*)"', page)[1]


def sign_in(client, name="alice", password=PASSWORD, target="", **headers):
    """Fill in the form as a browser does, and return the answer."""
    page = client.get("/auth/login", params={"next": target} if target else {})
    form = {"csrf": field(page.text, "csrf"), "next": field(page.text, "next")}
    form |= {"name": name, "password": password}
    headers = {"origin": str(client.base_url).rstrip("/"), **headers}
    return client.post("/auth/login", data=form, headers=headers)


def sign_out(client, csrf=None):
    csrf = csrf or field(client.get("/auth/").text, "csrf")
    origin = {"origin": str(client.base_url).rstrip("/")}
    return client.post("/auth/logout", data={"csrf": csrf}, headers=origin)


def events(web, kind):
    lines = (web.node.data_directory / "audit" / "audit.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


# --- who does not say who they are


DOORS = (
    "/ui/", "/api/node", "/api/studies", STUDIES, "/dicom-web/series", "/openapi.json",
    "/dicom-web/studies/1.2/rendered", "/ui/node", "/no/such/page",
)  # fmt: skip


@pytest.mark.parametrize("path", DOORS)
def test_every_door_demands_somebody(web, path):
    answer = web.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="pacs"')
    assert "Basic" in answer.headers["www-authenticate"]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", DOORS)
def test_every_door_demands_somebody_who_changes(web, path):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert httpx.request(method, web.url + path).status_code == 401


def test_health_and_the_files_of_pages_are_for_everybody(web):
    assert web.get("/health/ready").status_code == 200
    assert web.get("/ui/static/style.css").status_code == 200


def test_people_are_led_to_the_form_and_scripts_are_not(web):
    browser = {"accept": "text/html,*/*", "sec-fetch-site": "none"}
    answer = web.get("/ui/studies?q=a b", headers=browser | {"sec-fetch-mode": "navigate"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/auth/login?next=/ui/studies%3Fq%3Da%2520b"
    script = web.get("/ui/", headers=browser | {"sec-fetch-mode": "cors"})
    assert script.status_code == 401
    assert "Basic" not in script.headers["www-authenticate"]  # no dialog of the browser
    part = web.get("/ui/", headers={"hx-request": "true", "sec-fetch-mode": "cors"})
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/auth/login")


# --- people


def test_somebody_signs_in_and_out(web):
    with web.client() as client:
        answer = sign_in(client, target="/ui/?q=x")
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/?q=x")
        cookie = answer.headers["set-cookie"]
        for part in ("pacs_session=", "HttpOnly", "SameSite=lax", "Path=/"):
            assert part in cookie
        assert "Secure" not in cookie
        page = client.get("/ui/", follow_redirects=True)
        assert page.status_code == 200
        assert re.search(r'href="/auth/">alice</a>', page.text)
        account = client.get("/auth/")
        assert "alice" in account.text
        assert "physicians" in account.text
        kept = dict(client.cookies)
        assert sign_out(client).status_code == 303
        assert client.get(STUDIES).status_code == 401
    replayed = httpx.get(web.url + STUDIES, cookies=kept)  # a copy of the cookie
    assert replayed.status_code == 401
    wait_for(lambda: events(web, "auth-local.logout"), "the end of the session is not recorded")
    login, logout = events(web, "auth-local.login")[-1], events(web, "auth-local.logout")[-1]
    assert (login["user"], logout["user"], login["host"]) == ("alice", "alice", "127.0.0.1")


def test_the_session_is_another_than_a_browser_came_with(web):
    """Session fixation: whoever planted a cookie has nothing of it."""
    planted = "x" * 43
    with web.client(cookies={"pacs_session": planted}) as client:
        sign_in(client)
        values = [each.value for each in client.cookies.jar if each.name == "pacs_session"]
    assert planted in values
    assert len(values) == 2
    assert httpx.get(web.url + STUDIES, cookies={"pacs_session": planted}).status_code == 401


def test_who_signs_in_again_has_left_the_session_before(web):
    with web.client() as client:
        sign_in(client)
        before = client.cookies["pacs_session"]
        sign_in(client)
        assert client.cookies["pacs_session"] != before
    assert httpx.get(web.url + STUDIES, cookies={"pacs_session": before}).status_code == 401


def test_what_is_wrong_is_not_told(web):
    pages = set()
    for name, password in (
        ("alice", "wrong password!"),
        ("nobody", PASSWORD),
        ("\0", "x"),
        ("", ""),
    ):
        with web.client() as client:
            answer = sign_in(client, name, password)
            assert answer.status_code == 401
            assert "pacs_session" not in client.cookies
            pages.add(re.sub(r'value="[^"]*"', "", answer.text))
    assert len(pages) == 1
    assert "Name or password is wrong" in pages.pop()


@pytest.mark.parametrize(
    ("name", "status"),
    [
        (b"x" * 65_536, 413),
        (b"x" * 9_000, 401),
        (b"alice%00", 401),
        (b"alice%0d%0aX:1", 401),
        ("älice".encode("latin-1"), 400),
        (b"%ff%fe", 400),
        (b"alice&name=bob", 401),
    ],
)
def test_names_that_are_none(web, name, status):
    """Long, with control characters, in another character set, twice."""
    with web.client() as client:
        csrf = field(client.get("/auth/login").text, "csrf").encode()
        headers = {"origin": web.url, "content-type": "application/x-www-form-urlencoded"}
        body = b"csrf=" + csrf + b"&password=wrong&name=" + name
        answer = client.post("/auth/login", content=body, headers=headers)
        assert answer.status_code == status, answer.text
        assert len(answer.content) < 10_000
        assert "pacs_session" not in client.cookies
    assert web.is_healthy()


def test_pages_are_in_german_and_load_nothing(web):
    answer = web.get("/auth/login", headers={"accept-language": "de-AT,en;q=0.5"})
    assert '<html lang="de">' in answer.text
    assert "Anmelden" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    for part in ("form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy
    assert "script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/\\evil.example", "https://evil.example", "/\r\nX:1"],
)
def test_nobody_is_led_to_another_site(web, target):
    with web.client() as client:
        page = client.get("/auth/login", params={"next": target})
        assert field(page.text, "next") == "/"
        assert "<script" not in page.text
        form = {"csrf": field(page.text, "csrf"), "next": target}
        form |= {"name": "alice", "password": PASSWORD}
        answer = client.post("/auth/login", data=form, headers={"origin": web.url})
        assert answer.headers["location"] == "/"


# --- requests that other sites forge


def test_a_form_to_sign_in_that_is_not_ours_is_refused(web):
    form = {"name": "alice", "password": PASSWORD, "csrf": "x", "next": "/"}
    assert httpx.post(web.url + "/auth/login", data=form).status_code == 403
    guessed = httpx.post(web.url + "/auth/login", data=form, cookies={"pacs_sign_in": "y"})
    assert guessed.status_code == 403
    with web.client() as client:
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            assert sign_in(client, **headers).status_code == 403


def test_a_form_to_sign_out_that_is_not_ours_is_refused(web):
    with web.client() as client:
        sign_in(client)
        assert sign_out(client, csrf="x").status_code == 403
        forged = client.post("/auth/logout", headers={"sec-fetch-site": "cross-site"})
        assert forged.status_code == 403
        assert client.get(STUDIES).status_code == 200


CHANGES = (
    ("POST", "/dicom-web/studies"),
    ("DELETE", "/api/studies/1.2.3"),
    ("POST", "/api/studies/1.2.3/send?peer=x"),
    ("POST", "/api/peers/x/echo"),
    ("POST", "/ui/studies/1.2.3/delete"),
    ("POST", "/auth/logout"),
)


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_no_other_site_changes_anything_with_somebodys_cookie(web, method, path):
    with web.client() as client:
        sign_in(client)
        for headers in (
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {},
        ):
            answer = client.request(method, path, headers=headers)
            assert answer.status_code in (403, 415), (headers, answer.text)
        assert client.get(STUDIES).status_code == 200


# --- machines


def test_basic(web):
    assert web.get(STUDIES, auth=("alice", PASSWORD)).status_code == 200
    assert web.get(STUDIES, auth=("ALICE", PASSWORD)).status_code == 200
    wrong = web.get(STUDIES, auth=("alice", "wrong password!"))
    assert (wrong.status_code, wrong.json()["detail"]) == (401, "name or password is wrong")
    wait_for(lambda: events(web, "auth-local.failed"), "the failure is not recorded")
    assert "wrong password!" not in web.log


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Basic", 400),
        ("Basic !!!", 400),
        ("Basic YWxpY2U=", 400),
        ("Basic /////w==", 400),
        ("Bearer", 401),
        ("Bearer x.y.z", 401),
        ("Bearer pacs_x", 401),
        ("Negotiate YII=", 401),
        ("", 401),
        ("Basic " + "A" * 40_000, 400),
    ],
)
def test_credentials_that_mean_nothing(web, said, status):
    assert web.get(STUDIES, headers={"authorization": said}).status_code == status
    assert web.is_healthy()


def test_credentials_that_are_there_twice(web):
    twice = [("authorization", "Basic YTpi"), ("authorization", "Bearer x")]
    assert httpx.get(web.url + STUDIES, headers=twice).status_code == 400


def test_tokens(web):
    token = pacs(web, "tokens", "create", "viewer", "--action", "query", "--days", "1")
    bearer = {"authorization": f"Bearer {token}"}
    assert web.get(STUDIES, headers=bearer).status_code == 200
    denied = web.get("/dicom-web/studies/1.2/metadata", headers=bearer)  # to retrieve, not to query
    assert denied.status_code == 403
    wait_for(
        lambda: any(event["user"] == "viewer" for event in events(web, "access-denied")),
        "the denial is not recorded",
    )
    listed = json.loads(pacs(web, "tokens", "list", "--json"))
    assert [(each["name"], each["actions"]) for each in listed] == [("viewer", ["query"])]
    assert token.split("_", 2)[2] not in json.dumps(listed) + web.log
    pacs(web, "tokens", "revoke", "viewer")
    revoked = web.get(STUDIES, headers=bearer)
    assert revoked.status_code == 401
    assert 'error="invalid_token"' in revoked.headers["www-authenticate"]


def test_a_user_is_disabled_enabled_and_removed(web):
    pacs(web, "users", "add", "bob", stdin="a password of bob\n")
    basic = ("bob", "a password of bob")
    with web.client() as client:
        sign_in(client, *basic)
        assert client.get(STUDIES).status_code == 200
        pacs(web, "users", "disable", "bob")
        assert client.get(STUDIES).status_code == 401
        assert web.get(STUDIES, auth=basic).status_code == 401
        pacs(web, "users", "enable", "bob")
        assert client.get(STUDIES).status_code == 401  # that session is over
        assert web.get(STUDIES, auth=basic).status_code == 200
        pacs(web, "users", "password", "bob", stdin="another password\n")
        assert web.get(STUDIES, auth=basic).status_code == 401
        pacs(web, "users", "remove", "bob")
        assert web.get(STUDIES, auth=("bob", "another password")).status_code == 401
    commands = [event["details"]["command"] for event in events(web, "auth-local.changed")]
    assert commands[-5:] == [
        f"users {c}" for c in ("add", "disable", "enable", "password", "remove")
    ]


# --- guessing


def test_who_guesses_has_to_wait_with_every_worker(tmp_path):
    lockout = {"per_name": 3, "longest": 600.0}
    plugin = {"auth-local": {"lockout": lockout}}
    with run_closed(tmp_path / "node", plugin=plugin, node={"port": 0, "workers": 2}) as web:
        pacs(web, "users", "add", "alice", stdin=PASSWORD + "\n")
        for _ in range(3):
            assert web.get(STUDIES, auth=("alice", "wrong password!")).status_code == 401
        # Each on a connection of its own, and so with either worker.
        for _ in range(6):
            waiting = web.get(STUDIES, auth=("alice", PASSWORD))
            assert waiting.status_code in (429, 200)
            if waiting.status_code == 200:  # the second is over
                break
            assert int(waiting.headers["retry-after"]) >= 1
        else:
            with web.client() as client:
                assert sign_in(client).status_code in (429, 303)
        wait_for(lambda: events(web, "auth-local.locked"), "the lock is not recorded")


# --- where the site is


def test_below_a_base_path_and_behind_tls(tmp_path):
    authority = trustme.CA()
    pem, ca = tmp_path / "node.pem", tmp_path / "ca.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
    authority.cert_pem.write_to_path(ca)
    shown = authority.issue_cert("viewer@example.org", common_name="viewer")
    web_table = {"port": 0, "tls": {"certificate": str(pem), "ca": str(ca), "peers": "optional"}}
    rule = {"name": "viewer", "san": "email:viewer@example.org", "roles": ["machines"]}
    plugin = {"web": web_table, "auth-local": {"anonymous": "refused", "certificate": [rule]}}
    context = ssl.create_default_context()
    authority.configure_trust(context)
    known = ssl.create_default_context()
    authority.configure_trust(known)
    shown.configure_cert(known)
    with run_web(tmp_path / "node", plugins=PLUGINS, plugin=plugin) as web:
        pacs(web, "users", "add", "alice", stdin=PASSWORD + "\n")
        url = f"https://127.0.0.1:{web.port}"
        with httpx.Client(base_url=url, verify=context, timeout=20) as client:
            assert client.get(STUDIES).status_code == 401
            cookie = sign_in(client).headers["set-cookie"]
            assert cookie.startswith("__Host-pacs_session=")
            assert "Secure" in cookie
            assert client.get(STUDIES).status_code == 200
        with httpx.Client(base_url=url, verify=known, timeout=20) as client:
            assert client.get(STUDIES).status_code == 200
        line = '127.0.0.1 viewer "GET /dicom-web/studies" 200'
        wait_for(lambda: line in web.log, "the certificate's name is not in the log")


def test_below_a_base_path(tmp_path):
    plugin = {"auth-local": {"anonymous": "refused"}}
    with run_closed(tmp_path / "node", base="/pacs", plugin=plugin) as web:
        assert web.get(STUDIES).status_code == 401  # also before there are users
        assert web.is_healthy()
        pacs(web, "users", "add", "alice", stdin=PASSWORD + "\n")
        html = {"accept": "text/html"}
        answer = web.get("/ui/", headers=html)
        assert answer.headers["location"] == "/pacs/auth/login?next=/pacs/ui/"
        with httpx.Client(base_url=web.url, timeout=20) as client:
            page = client.get("/auth/login", params={"next": "/pacs/ui/"}).text
            form = {name: field(page, name) for name in ("csrf", "next")}
            form |= {"name": "alice", "password": PASSWORD}
            origin = {"origin": f"http://127.0.0.1:{web.port}"}
            done = client.post("/auth/login", data=form, headers=origin)
            assert done.headers["location"] == "/pacs/ui/"
            assert "Path=/pacs/" in done.headers["set-cookie"]
            assert client.get(STUDIES).status_code == 200
