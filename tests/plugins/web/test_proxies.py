"""Behind a proxy: links are what the client can follow, and nobody can pretend to be a proxy."""

import pytest

from .conftest import run_web

LOCAL = "127.0.0.1"


@pytest.fixture(scope="module")
def proxied(bulletin, tmp_path_factory):
    """A node that trusts the loopback interface, shown below a path."""
    config = {
        "base_path": "/pacs",
        "trusted_proxies": [LOCAL, "10.0.0.0/8"],
        "allowed_hosts": ["pacs.example.org", "*.clinic.example"],
    }
    with run_web(tmp_path_factory.mktemp("proxied"), config) as running:
        yield running


@pytest.fixture(scope="module")
def plain(bulletin, tmp_path_factory):
    """A node that trusts nobody."""
    with run_web(tmp_path_factory.mktemp("plain")) as running:
        yield running


def ask(web, headers, path="/bulletin/who", base=None):
    web = web if base is None else type(web)(web.node, web.port, base)
    return web.get(path, headers=headers)


@pytest.mark.parametrize("base", ["/pacs", ""], ids=["not stripped", "stripped"])
def test_links_are_below_the_base_path(proxied, base):
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "pacs.example.org"}
    answer = ask(proxied, headers, base=base).json()
    assert answer["url"] == "https://pacs.example.org/pacs"
    assert answer["route"] == "https://pacs.example.org/pacs/bulletin/notices/1"
    page = ask(proxied, headers, "/bulletin/", base=base).text
    assert 'href="/pacs/bulletin/"' in page
    created = type(proxied)(proxied.node, proxied.port, base).client(headers=headers)
    with created as client:
        response = client.post("/bulletin/notices", json={"text": "a"})
    assert response.headers["location"].startswith("https://pacs.example.org/pacs/bulletin/")


def test_a_page_at_the_base_path_itself(proxied):
    assert ask(proxied, {}, "/", base="/pacs").status_code == 200
    assert ask(proxied, {}, "/", base="").status_code == 200
    assert ask(proxied, {}, "", base="/pacs").status_code == 200


def test_the_standard_header_goes_first(proxied):
    headers = {
        "forwarded": 'for="[2001:db8::7]:4711";proto=https;host=a.clinic.example, for=10.1.2.3',
        "x-forwarded-host": "pacs.example.org",
    }
    answer = ask(proxied, headers).json()
    assert answer["host"] == "2001:db8::7"
    assert answer["url"] == "https://a.clinic.example/pacs"


def test_a_prefix_that_a_proxy_names(proxied):
    headers = {"x-forwarded-prefix": "/radiology/", "x-forwarded-host": "pacs.example.org"}
    answer = ask(proxied, headers, base="").json()
    assert answer["url"] == "http://pacs.example.org/radiology"


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("203.0.113.9, 192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.1.1.1, 10.1.1.2", "192.0.2.7"),
        ("spoofed, 192.0.2.7:4711", "192.0.2.7"),
        ("unknown", "127.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        (",,,", "127.0.0.1"),
    ],
)
def test_the_client_is_who_the_nearest_untrusted_address_is(proxied, chain, client):
    assert ask(proxied, {"x-forwarded-for": chain}).json()["host"] == client


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-proto": "javascript"},
        {"x-forwarded-host": "evil.example/<script>"},
        {"x-forwarded-prefix": "//evil.example"},
        {"x-forwarded-prefix": "/a/../..//b"},
        {"forwarded": 'for="'},
        {"forwarded": "host=a b;;;=,"},
        {"forwarded": "x" * 5000},
    ],
    ids=str,
)
def test_what_is_malformed_is_not_believed(proxied, headers):
    answer = ask(proxied, headers)
    assert answer.status_code == 200
    assert answer.json()["url"] == f"http://127.0.0.1:{proxied.port}/pacs"


def test_a_host_that_a_proxy_names_must_be_allowed(proxied):
    assert ask(proxied, {"x-forwarded-host": "evil.example"}).status_code == 421
    assert ask(proxied, {"x-forwarded-host": "clinic.example"}).status_code == 421


def test_who_is_not_trusted_is_not_believed(plain):
    headers = {
        "forwarded": "for=192.0.2.7;proto=https;host=evil.example",
        "x-forwarded-for": "192.0.2.7",
        "x-forwarded-host": "evil.example",
        "x-forwarded-prefix": "/evil",
        "x-forwarded-proto": "https",
    }
    answer = ask(plain, headers).json()
    assert answer["host"] == LOCAL
    assert answer["url"] == plain.url
