"""Peers as they are typed: ``AET@HOST:PORT``, or the name of a ``[peers.NAME]`` table."""

from collections.abc import Mapping
from difflib import get_close_matches

from pacs_core.cli.errors import UsageError
from pacs_core.contracts import Peer, check_ae_title


def parse_peer(text: str, known: Mapping[str, Peer]) -> Peer:
    """Return the peer that `text` names.

    Parameters
    ----------
    text : str
        Name of a configured peer, or ``AET@HOST:PORT``; an IPv6 address stands in brackets.
    known : mapping of str to Peer

    Raises
    ------
    UsageError
        It is neither.
    """
    if text in known:
        return known[text]
    ae_title, at, address = text.rpartition("@")
    if not at:
        raise UsageError(_unknown(text, known))
    host, port = _address(text, address)
    try:
        check_ae_title(ae_title)
    except ValueError as error:
        raise UsageError(f"peer {text!r}: {error}") from error
    return Peer(ae_title, host, port)


def _address(text: str, address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        raise UsageError(f"peer {text!r}: put an IPv6 address in brackets, as in A@[::1]:104")
    if bracketed:
        host = host[1:-1]
    if not colon or not host:
        raise UsageError(f"peer {text!r}: write AET@HOST:PORT, as in PACS@127.0.0.1:11112")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UsageError(f"peer {text!r}: the port is a number from 1 to 65535, not {port!r}")
    return host, int(port)


def _unknown(text: str, known: Mapping[str, Peer]) -> str:
    near = get_close_matches(text, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"configured are {', '.join(known) or 'none'}"
    return f"no peer is called {text!r}: {hint}; or write AET@HOST:PORT"
