"""Proxies that are trusted, and what they say about a request (RFC 7239).

The right-most element of a header is what the nearest proxy has added; those before it are
believed only as long as each was added by a trusted proxy. So a client cannot choose its address
by sending the header itself.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from attrs import frozen

_PAIR: Final = re.compile(
    r"\s*([\w!#$%&'*+.^`|~-]+)=(\"(?:[^\"\\]|\\.)*\"|[\w!#$%&'*+.^`|~:\[\]-]*)\s*"
)
_PREFIX: Final = re.compile(r"(/[\w.~%!$&'()*+,;=:@-]+)*/?")
_HOST: Final = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


@frozen
class Forwarded:
    """A request as it came to the first trusted proxy; empty where nothing is said.

    Attributes
    ----------
    client : str
        Address.
    scheme, host, prefix : str
        Prefix of paths under which the proxy shows this server.
    """

    client: str = ""
    scheme: str = ""
    host: str = ""
    prefix: str = ""


class Proxies:
    """Addresses and networks that are trusted."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(each) for each in trusted]

    def trusts(self, host: str) -> bool:
        """Tell whether a proxy at an address is trusted."""
        if not self._networks:
            return False
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)

    def read(self, headers: Sequence[tuple[bytes, bytes]]) -> Forwarded:
        """Return what the headers of a request say, of which the peer is trusted.

        ``Forwarded`` goes before ``X-Forwarded-*``. What is malformed is not believed.
        """
        if elements := _values(headers, b"forwarded"):
            return self._standard(elements, headers)
        chain = [_address(each) for each in _values(headers, b"x-forwarded-for")]
        return Forwarded(
            chain[self._position(chain)] if chain else "",
            _scheme(_last(headers, b"x-forwarded-proto")),
            _host(_last(headers, b"x-forwarded-host")),
            _prefix(_last(headers, b"x-forwarded-prefix")),
        )

    def _standard(
        self, elements: Sequence[str], headers: Sequence[tuple[bytes, bytes]]
    ) -> Forwarded:
        parsed = [_pairs(each) for each in elements]
        chain = [_address(each.get("for", "")) for each in parsed]
        position = self._position(chain)
        first = parsed[position]
        prefix = _prefix(_last(headers, b"x-forwarded-prefix"))  # RFC 7239 has no such parameter
        return Forwarded(
            chain[position],
            _scheme(first.get("proto", "")),
            _host(first.get("host", "")),
            prefix,
        )

    def _position(self, chain: Sequence[str]) -> int:
        """Return where in a chain of addresses the first is that no trusted proxy vouches for."""
        for position in reversed(range(len(chain))):
            if not self.trusts(chain[position]):
                return position
        return 0


def _values(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """Return the elements of a header that is a list, all of its lines together."""
    text = ",".join(value.decode("latin-1") for key, value in headers if key == name)
    elements, quoted, begin = [], False, 0
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            elements.append(text[begin:position])
            begin = position + 1
    return [each.strip() for each in (*elements, text[begin:]) if each.strip()]


def _last(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    values = _values(headers, name)
    return values[-1] if values else ""


def _pairs(element: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in element.split(";"):
        if match := _PAIR.fullmatch(each):
            value = match[2]
            if value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            pairs.setdefault(match[1].lower(), value)
    return pairs


def _address(text: str) -> str:
    """Return the address in ``for``, without its port; empty for ``unknown`` and pseudonyms."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _scheme(text: str) -> str:
    return text.lower() if text.lower() in ("http", "https") else ""


def _host(text: str) -> str:
    return text if _HOST.fullmatch(text) else ""


def _prefix(text: str) -> str:
    return text.rstrip("/") if _PREFIX.fullmatch(text) else ""
