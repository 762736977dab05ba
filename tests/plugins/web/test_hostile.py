"""Hostile clients of the web server: each gets what HTTP names, and the next one is served."""

import gzip
import os
import re
import time
import zlib

import pytest

from .conftest import wait_for

HOST = b"Host: localhost\r\n"
GET = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /streams/count HTTP/1.1\r\n" + HOST


@pytest.fixture(autouse=True)
def next_one_is_served(web):
    yield
    assert web.is_healthy()
    wait_for(lambda: web.get("/streams/work").json() == [], "something is left behind")


def status(answer):
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(match[1]) if match else None


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 40_000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
    ids=["one header", "many headers", "target"],
)
def test_a_giant_head_is_431(web, head):
    answer = web.exchange(head)
    assert status(answer) in (414, 431)
    assert b"application/problem+json" in answer


def test_a_long_target_is_414(web):
    assert web.get("/health/live?a=" + "b" * 20_000).status_code == 414


@pytest.mark.parametrize(
    "first", [b"G", b"GET / HTTP/1.1\r\nHost: lo"], ids=["a letter", "half a head"]
)
def test_half_a_head_ends_at_its_deadline(web, first):
    began = time.monotonic()
    answer = web.exchange(first)
    assert status(answer) == 408
    assert time.monotonic() - began < 10


def test_a_page_of_no_origin_makes_no_changes_where_no_host_is_named(web):
    head = b"POST /streams/count HTTP/1.0\r\nOrigin: null\r\nContent-Length: 0\r\n\r\n"
    assert status(web.exchange(head)) == 403
    assert status(web.exchange(head.replace(b"Origin: null\r\n", b""))) == 200


def test_a_connection_without_a_request_ends_at_its_deadline(web):
    assert web.exchange(b"") == b""


def test_bytes_that_trickle_in_do_not_extend_the_deadline(web):
    pieces = [b"GET / HTTP/1.1\r\n" + HOST, *[b"X-%d: y\r\n" % n for n in range(100)]]
    answer = web.exchange(*pieces, pause=0.1)
    assert status(answer) in (408, None)
    wait_for(lambda: "did not come within" in web.log, "the log does not say so")


def test_the_head_of_a_further_request_has_a_deadline_too(web):
    answer = web.exchange(GET, b"GET /health", pause=0.2)
    assert status(answer) == 200
    assert b" 408 " in answer


def test_a_slow_body_is_408(web):
    pieces = [POST + b"Content-Length: 100\r\n\r\n", b"a"]
    assert status(web.exchange(*pieces, pause=0.1)) == 408


def test_a_body_that_trickles_in_is_408(web):
    pieces = [POST + b"Content-Length: 100\r\n\r\n", *[b"a"] * 60]
    assert status(web.exchange(*pieces, pause=0.1)) == 408


def test_a_truncated_body_leaves_nothing_behind(web):
    with web.connect() as connection:
        connection.sendall(POST + b"Content-Length: 1000\r\n\r\n" + b"a" * 10)
        wait_for(lambda: web.get("/streams/work").json() == ["receiving"], "not receiving")
    wait_for(lambda: web.get("/streams/work").json() == [], "still receiving")


def test_surplus_bytes_are_no_request(web):
    answer = web.exchange(POST + b"Content-Length: 3\r\n\r\nabcdefgh\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'{"bytes":3}' in answer
    assert b"HTTP/1.1 400 " in answer


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"0x10", b"1, 2", b"9" * 30, b"", b"+5"])
def test_a_length_that_is_none(web, length):
    answer = web.exchange(POST + b"Content-Length: " + length + b"\r\n\r\nabcde")
    assert status(answer) in (400, 408, 413)


def test_two_lengths(web):
    answer = web.exchange(POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")
    assert status(answer) == 400


def test_a_length_with_chunks_is_refused_and_smuggles_nothing(web):
    smuggled = b"GET /bulletin/who HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = web.exchange(
        POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled
    )
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"interface" not in answer


@pytest.mark.parametrize(
    "header", [b"chunked, gzip", b"gzip", b"x", b"identity, chunked", b"chunked\r\n , identity"]
)
def test_other_transfer_codings_are_refused(web, header):
    answer = web.exchange(POST + b"Transfer-Encoding: " + header + b"\r\n\r\n0\r\n\r\n")
    assert status(answer) in (400, 501)


def test_chunks_in_http_1_0_are_refused(web):
    head = b"POST /streams/count HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    assert status(web.exchange(head + b"0\r\n\r\n")) == 400


@pytest.mark.parametrize(
    "chunk", [b"zz\r\n", b"-1\r\n", b"5\r\nabcdefgh", b"fffffffffffffffffff\r\n"]
)
def test_broken_chunks(web, chunk):
    answer = web.exchange(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    assert status(answer) in (400, 408)


def test_a_body_without_end_for_who_does_not_read_it(web):
    head = POST.replace(b"count", b"ignore") + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = web.exchange(head, *[b"1\r\na\r\n"] * 60, pause=0.05)
    assert status(answer) == 200


@pytest.mark.parametrize(
    "line", [b"X: a\rb", b"X: a\0b", b"X\r\n: a", b"X : a", b" X: a", b"X: a\nY", b"a" * 10]
)
def test_headers_that_are_none(web, line):
    assert status(web.exchange(b"GET / HTTP/1.1\r\n" + HOST + line + b"\r\n\r\n")) in (400, 421)


@pytest.mark.parametrize(
    "path", ["/%0d%0aSet-Cookie:a=b", "/health/live%00", "/a%0aWARNING forged", "/%1b[2J"]
)
def test_control_characters_in_a_path_are_refused_and_forge_nothing(web, path):
    response = web.get(path)
    assert response.status_code == 400
    assert "set-cookie" not in response.headers
    assert not re.search(r"^WARNING forged", web.log, re.MULTILINE)
    assert "\x1b" not in web.log


@pytest.mark.parametrize("path", ["/..%2f..%2fetc/passwd", "/../../etc/passwd", "//evil.example/x",
                                  "/%2e%2e/%2e%2e/etc", "/\\evil"])  # fmt: skip
def test_paths_that_lead_elsewhere(web, path):
    request = b"GET " + path.encode() + b" HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    answer = web.exchange(request)
    assert status(answer) in (400, 404)
    assert b"location" not in answer.lower()


def test_no_host_is_400_but_in_http_1_0(web):
    assert status(web.exchange(b"GET / HTTP/1.1\r\n\r\n")) == 400
    assert status(web.exchange(b"GET /health/live HTTP/1.0\r\n\r\n")) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "a@b"]
)
def test_a_foreign_host_is_421(web, host):
    response = web.get("/bulletin/who", headers={"host": host})
    assert response.status_code == 421
    assert "allowed_hosts" in response.json()["detail"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8042", "127.0.0.1", "[::1]:80", "10.0.0.1"]
)
def test_a_host_that_cannot_be_made_to_lead_here(web, host):
    assert web.get("/bulletin/who", headers={"host": host}).status_code == 200


def test_the_host_in_the_target_counts(web):
    request = b"GET http://evil.example/bulletin/who HTTP/1.1\r\n" + HOST + b"\r\n"
    assert status(web.exchange(request)) == 421
    request = b"GET http://localhost/bulletin/who HTTP/1.1\r\nConnection: close\r\n" + HOST
    assert status(web.exchange(request + b"\r\n")) == 200


def test_half_open_connections_keep_nobody_out(web):
    held = [web.connect() for _ in range(200)]
    try:
        for each in held:
            each.sendall(b"GET / HTTP/1.1\r\n")
        assert web.is_healthy()
    finally:
        for each in held:
            each.close()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_in_a_body_is_413(web, encoding):
    compressor = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(64)) + compressor.flush()
    with web.client(headers={"content-encoding": encoding}) as client:
        assert client.post("/streams/count", content=bomb).status_code == 413
        assert client.post("/bulletin/notices", content=bomb[:900]).status_code == 413


def test_a_compressed_body_is_read(web):
    with web.client(headers={"content-encoding": "gzip"}) as client:
        response = client.post("/streams/count", content=gzip.compress(os.urandom(300_000)))
        assert response.json() == {"bytes": 300_000}
        assert client.post("/streams/count", content=b"nonsense").status_code == 400
        assert (
            client.post("/streams/count", content=gzip.compress(b"a" * 99)[:-5]).status_code == 400
        )


def test_an_unknown_content_coding_is_415(web):
    with web.client(headers={"content-encoding": "br"}) as client:
        response = client.post("/streams/count", content=b"x")
    assert response.status_code == 415
    assert "gzip" in response.headers["accept-encoding"]


def test_a_body_beyond_the_limit_is_413(web):
    with web.client() as client:
        assert client.post("/bulletin/notices", content=b"a" * 1001).status_code == 413
        assert client.post("/bulletin/notices", content=iter([b"a" * 600] * 2)).status_code == 413


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 5000, b"\r\n\r\n\r\n\r\nX",
     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
     b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", b"\x01\x00\x00\x00\x00\xcd"],
    ids=["TLS", "zeros", "lines", "HTTP/2", "HTTP/9", "DICOM"],
)  # fmt: skip
def test_what_is_no_http(web, garbage):
    assert status(web.exchange(garbage)) in (400, 408, 505, None)


def test_who_takes_nothing_of_a_download_is_cut_off(web):
    with web.connect() as connection:
        connection.sendall(b"GET /streams/send?pieces=100000 HTTP/1.1\r\n" + HOST + b"\r\n")
        wait_for(lambda: web.get("/streams/work").json() == ["sending"], "not sending")
        wait_for(lambda: web.get("/streams/work").json() == [], "still sending")


def test_who_leaves_a_download_stops_it(web):
    with web.connect() as connection:
        connection.sendall(
            b"GET /streams/send?pieces=100000&pause=0.01 HTTP/1.1\r\n" + HOST + b"\r\n"
        )
        connection.recv(1000)
        assert web.get("/streams/work").json() == ["sending"]
    wait_for(lambda: web.get("/streams/work").json() == [], "still sending")


def test_a_hundred_requests_at_once(web):
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert web.exchange(GET * 99 + last).count(b"HTTP/1.1 200 ") == 100


def test_nothing_is_answered_after_the_request_that_closes_the_connection(web):
    closing = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert web.exchange(closing + GET).count(b"HTTP/1.1 ") == 1


def test_a_download_that_fails_is_not_taken_for_whole(web):
    request = b"GET /streams/send?fails=5 HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = web.exchange(request)
    assert status(answer) == 200
    assert not answer.endswith(b"0\r\n\r\n")
    wait_for(lambda: "was cut off: the object is damaged" in web.log, "it is not logged")


def test_a_download_that_fails_before_it_begins_has_a_status(web):
    assert web.get("/streams/send?fails=0").status_code == 500


def test_refusals_are_audited_and_logged_but_not_without_end(web):
    before = web.log.count("refused: 421")
    with web.client(headers={"host": "flood.example"}) as client:
        for _ in range(50):
            client.get("/")
    assert web.log.count("refused: 421") - before <= 20
    audited = sum(
        file.read_text().count('"web.refused"') for file in web.node.data_directory.rglob("*.jsonl")
    )
    assert 1 <= audited <= 40
