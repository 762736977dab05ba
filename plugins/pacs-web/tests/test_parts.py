"""Parts of the server without a network: proxies, inflating, compression, the weighing of names."""

import gzip
import ipaddress
import subprocess
import sys
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st
from pacs_web.config import WebConfig
from pacs_web.inflating import PIECE, BodyInflater, InflateError, zstd
from pacs_web.middleware.compression import choose_encoding
from pacs_web.proxies import Forwarded, Proxies
from pacs_web.remembered import remembered

ENCODE = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}


def inflate(encoding, data, cut):
    inflater = BodyInflater(encoding)
    pieces = []
    for begin in range(0, len(data), cut):
        pieces += inflater.feed(data[begin : begin + cut])
    inflater.finish()
    return pieces


@given(
    encoding=st.sampled_from(sorted(ENCODE)),
    parts=st.lists(st.binary(max_size=300), min_size=1, max_size=3),
    times=st.sampled_from([1, 50, 2000]),
    cut=st.integers(1, 5000),
)
def test_what_was_compressed_comes_back_in_bounded_pieces(encoding, parts, times, cut):
    parts = [part * times for part in parts]
    if encoding == "deflate":  # which cannot be concatenated
        parts = parts[:1]
    data = b"".join(ENCODE[encoding](part) for part in parts)
    pieces = inflate(encoding, data, cut)
    assert b"".join(pieces) == b"".join(parts)
    assert all(len(piece) <= PIECE for piece in pieces)


@given(encoding=st.sampled_from(sorted(ENCODE)), data=st.binary(min_size=1, max_size=2000))
def test_what_is_cut_short_is_noticed(encoding, data):
    whole = ENCODE[encoding](data)
    with pytest.raises(InflateError) as failure:
        inflate(encoding, whole[: len(whole) // 2], 100)
    assert not failure.value.is_bomb


@given(encoding=st.sampled_from(sorted(ENCODE)), data=st.binary(max_size=300))
def test_nonsense_is_an_error_or_nothing(encoding, data):
    with suppress(InflateError):
        inflate(encoding, data, 7)


@pytest.mark.parametrize("encoding", sorted(ENCODE))
def test_a_bomb_is_noticed_before_it_goes_off(encoding):
    bomb = ENCODE[encoding](bytes(40 << 20))
    pieces = []
    with pytest.raises(InflateError) as failure:
        pieces.extend(len(piece) for piece in BodyInflater(encoding).feed(bomb))
    assert failure.value.is_bomb
    assert sum(pieces) <= 17 << 20


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
ADDRESS = st.ip_addresses().map(str)


@given(value=TEXT, name=st.sampled_from([b"forwarded", b"x-forwarded-for", b"x-forwarded-host",
                                         b"x-forwarded-proto", b"x-forwarded-prefix"]))  # fmt: skip
def test_whatever_a_proxy_says_is_sound_or_not_believed(value, name):
    said = Proxies(["10.0.0.0/8"]).read([(name, value.encode())])
    assert said.scheme in ("", "http", "https")
    assert not set(said.host) & set("/\\@<> \r\n")
    assert not said.prefix or (said.prefix[0] == "/" and "//" not in said.prefix)
    if said.client:
        ipaddress.ip_address(said.client)


@given(chain=st.lists(ADDRESS, min_size=1, max_size=5), trusted=st.lists(ADDRESS, max_size=3))
def test_both_headers_name_the_same_client(chain, trusted):
    proxies = Proxies(trusted)
    old = proxies.read([(b"x-forwarded-for", ", ".join(chain).encode())])
    quoted = [f'for="[{each}]"' if ":" in each else f"for={each}" for each in chain]
    new = proxies.read([(b"forwarded", ", ".join(quoted).encode())])
    assert old.client == new.client
    later = chain[chain.index(old.client) + 1 :] if old.client in chain else []
    assert all(proxies.trusts(each) for each in later) or chain.count(old.client) > 1


def test_nobody_is_trusted_by_default():
    assert not Proxies(WebConfig().trusted_proxies).trusts("127.0.0.1")
    assert Proxies(["127.0.0.1"]).trusts("::ffff:127.0.0.1")
    assert not Proxies(["127.0.0.1"]).trusts("localhost")
    assert Proxies(["0.0.0.0/0"]).read([]) == Forwarded()


@given(TEXT)
def test_any_accept_encoding_is_understood_or_not(accept):
    assert choose_encoding(accept) in ("", "gzip", "zstd")


def test_nothing_heavy_is_imported_before_the_node_is_ready():
    """What is imported for the hooks, `pacs --version` and commands included."""
    script = (
        "import sys, pacs_web, pacs_web.hooks, pacs_web.service\n"
        "heavy = {'starlette', 'uvicorn', 'h11', 'backports', 'jinja2'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_usual_headers_say_is_remembered_and_of_long_ones_nothing():
    read: list[str] = []

    @remembered
    def length(header: str) -> int:
        read.append(header)
        return len(header)

    usual, long = "a" * 256, "a" * 257
    assert [length(each) for each in (usual, usual, long, long)] == [256, 256, 257, 257]
    assert read == [usual, long, long]
