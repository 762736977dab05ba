"""Answers of the web server: methods, problems, pages of other origins, compression, who asks."""

import gzip
import json

import pytest
from pacs_web.inflating import zstd

from .conftest import run_web, wait_for

VIEWER = "https://viewer.example.org"


@pytest.fixture(scope="module")
def open_web(bulletin, tmp_path_factory):
    """A node whose answers pages of one other origin may read."""
    with run_web(tmp_path_factory.mktemp("open"), {"cors_origins": [VIEWER]}) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(bulletin, tmp_path_factory):
    """A node that asks who asks."""
    folder = tmp_path_factory.mktemp("guarded")
    with run_web(folder, plugins=("bulletin", "bulletin-guard")) as running:
        yield running


# --- methods


def test_options_and_405_name_the_methods_of_all_routes_of_a_path(web):
    with web.client() as client:
        options = client.options("/bulletin/notices")
        refused = client.delete("/bulletin/notices")
    assert (options.status_code, refused.status_code) == (204, 405)
    assert options.headers["allow"] == refused.headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_head_says_what_get_would(web):
    with web.client(headers={"accept-encoding": "identity"}) as client:
        head, got = client.head("/bulletin/"), client.get("/bulletin/")
    assert head.content == b""
    assert head.headers["content-length"] == str(len(got.content))


def test_head_says_no_length_that_get_would_not_have(web):
    """What GET would compress has a length that is not known (RFC 9110 §8.6)."""
    with web.client(headers={"accept-encoding": "gzip"}) as client:
        head, got = client.head("/bulletin/"), client.get("/bulletin/")
    assert "content-length" not in head.headers
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["vary"] == got.headers["vary"]


def test_options_of_everything(web):
    answer = web.exchange(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b" 404 " not in answer.partition(b"\r\n")[0]


def test_a_prefix_with_and_without_a_slash_is_the_same(web):
    assert web.get("/bulletin").text == web.get("/bulletin/").text


# --- problems


@pytest.mark.parametrize(
    ("how", "status"),
    [("denied", 403), ("missing", 404), ("full", 507), ("busy", 503), ("transcoding", 406),
     ("teapot", 418), ("bug", 500), ("exit", 500), ("none", 404)],
)  # fmt: skip
def test_what_is_raised_becomes_a_problem(web, how, status):
    response = web.get(f"/bulletin/fail/{how}")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    assert problem["title"]
    wait_for(lambda: f"{problem['request']} 127" in web.log, "it is not in the log")
    assert "secret" not in response.text


def test_an_error_of_ours_is_in_the_log_and_not_in_the_answer(web):
    web.get("/bulletin/fail/bug")
    wait_for(lambda: "ZeroDivisionError: a secret of the server" in web.log, "it is not logged")


def test_a_problem_may_have_headers_and_members(web):
    response = web.get("/bulletin/fail/teapot")
    assert response.headers["x-spout"] == "yes"
    assert response.json()["handle"] == "one"


def test_browsers_are_kept_from_harm(web):
    for path in ("/", "/bulletin/", "/nowhere"):
        headers = web.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]


# --- other origins


def test_pages_of_an_allowed_origin_may_read_answers_and_errors(open_web):
    for path in ("/bulletin/notices", "/bulletin/fail/bug", "/nowhere", "/bulletin/fail/denied"):
        headers = open_web.get(path, headers={"origin": VIEWER}).headers
        assert headers["access-control-allow-origin"] == VIEWER
        assert "ETag" in headers["access-control-expose-headers"]
    with open_web.client(headers={"origin": VIEWER}) as client:
        for refused in (client.delete("/bulletin/notices"), client.get("/?" + "a" * 20_000)):
            assert refused.headers["access-control-allow-origin"] == VIEWER


def test_a_preflight(open_web):
    headers = {
        "origin": VIEWER,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, authorization",
    }
    with open_web.client() as client:
        response = client.options("/bulletin/notices", headers=headers)
        assert response.is_success
        assert response.headers["access-control-allow-origin"] == VIEWER
        assert "authorization" in response.headers["access-control-allow-headers"]
        refused = client.options(
            "/bulletin/notices", headers=headers | {"origin": "https://evil.example"}
        )
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"origin": "null"},
                                     {"sec-fetch-site": "cross-site"}], ids=str)  # fmt: skip
def test_pages_of_other_origins_change_nothing_and_read_nothing(open_web, headers):
    with open_web.client(headers=headers) as client:
        assert client.post("/bulletin/notices", json={"text": "x"}).status_code == 403
        read = client.get("/bulletin/notices")
    assert read.json() == []
    assert "access-control-allow-origin" not in read.headers


def test_pages_of_our_own_and_programs_may_make_changes(web):
    with web.client() as client:
        for headers in ({}, {"origin": web.url}, {"sec-fetch-site": "same-origin"}):
            response = client.post("/bulletin/notices", json={"text": "x"}, headers=headers)
            assert response.status_code == 201


# --- compression


def fill(web):
    with web.client() as client:
        for _ in range(5):
            client.post("/bulletin/notices", json={"text": "lorem " * 90})


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [("gzip", "gzip"), ("zstd", "zstd"), ("gzip, zstd", "zstd"), ("gzip;q=1, zstd;q=0.5", "gzip"),
     ("*", "zstd"), ("br", None), ("", None), ("identity", None), ("gzip;q=0", None),
     ("gzip;q=x", None), ("identity;q=1, gzip;q=0.5", None)],
)  # fmt: skip
def test_texts_are_compressed_as_the_client_prefers(web, accept, encoding):
    fill(web)
    with (
        web.client(headers={"accept-encoding": accept}) as client,
        client.stream("GET", "/bulletin/notices") as response,
    ):
        body = b"".join(response.iter_raw())
    assert response.headers.get("content-encoding") == encoding
    assert "Accept-Encoding" in response.headers["vary"]
    decode = {"gzip": gzip.decompress, "zstd": zstd.decompress, None: bytes}[encoding]
    assert json.loads(decode(body))[-1].startswith("lorem")


def test_images_are_not_compressed(web):
    response = web.get("/streams/send", headers={"accept-encoding": "gzip, zstd"})
    assert "content-encoding" not in response.headers
    assert len(response.content) == 10 * 16384


# --- who asks


def test_who_is_not_known_is_refused(guarded):
    response = guarded.get("/bulletin/who")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="pacs"'
    assert response.json()["detail"] == "say the word"
    wait_for(lambda: "refused: 401 say the word" in guarded.log, "it is not logged")


def test_who_is_known_has_a_name(guarded):
    response = guarded.get("/bulletin/who", headers={"authorization": "Bearer sesame"})
    assert response.json()["user"] == "alice"
    line = ' 127.0.0.1 alice "GET /bulletin/who"'
    wait_for(lambda: line in guarded.log, "it is not logged")


def test_a_guard_that_fails_lets_nobody_in(guarded):
    response = guarded.get("/bulletin/who", headers={"authorization": "Bearer bug"})
    assert response.status_code == 500
    assert "asleep" not in response.text


def test_health_and_methods_need_no_name(guarded):
    assert guarded.is_healthy()
    with guarded.client() as client:
        assert client.options("/bulletin/notices").status_code == 204
    assert guarded.get("/").status_code == 401
    assert guarded.get("/nowhere").status_code == 401


# --- what the server has of its own


def test_the_first_page_links_to_the_pages_of_plugins(web):
    assert '<a href="/bulletin/">Notices</a>' in web.get("/").text


def test_the_api_document_has_the_sections_of_plugins(web):
    document = web.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]["/bulletin/notices"]) == {"get", "post"}
    assert document["servers"] == [{"url": web.url}]


def test_the_log_has_paths_but_no_queries(web):
    web.get("/bulletin/notices?PatientName=Doe")
    wait_for(lambda: '"GET /bulletin/notices" 200' in web.log, "it is not logged")
    assert "PatientName" not in web.log
