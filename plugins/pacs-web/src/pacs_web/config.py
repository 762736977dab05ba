"""The table ``[plugin.web]``."""

import ipaddress
from collections.abc import Iterator
from typing import Literal

from attrs import define, field, frozen
from attrs.validators import ge, gt

from pacs_core.contracts import RELOADABLE, ServerTls


@frozen
class WebTimeouts:
    """Seconds to wait before giving up.

    Attributes
    ----------
    head : float
        For the whole head of a request, from the connection or from its first byte on.
    body : float
        In which nothing of a body comes, or less than `minimum_rate` on the whole.
    write : float
        For the client to take what is sent.
    idle : float
        For the next request on a connection.
    """

    head: float = field(default=10.0, validator=gt(0.0), metadata=RELOADABLE)
    body: float = field(default=30.0, validator=gt(0.0), metadata=RELOADABLE)
    write: float = field(default=60.0, validator=gt(0.0), metadata=RELOADABLE)
    idle: float = field(default=15.0, validator=gt(0.0))


@frozen
class WebConfig:
    """Where the server listens, whom it trusts, and what it puts up with.

    Attributes
    ----------
    host : str
        Address to listen on.
    port : int
        0 takes a free one.
    base_path : str
        Path under which a proxy shows the server: ``"/pacs"``. The proxy may strip it or not.
    trusted_proxies : tuple of str
        Addresses and networks of proxies, whose ``Forwarded`` and ``X-Forwarded-*`` are believed.
    allowed_hosts : tuple of str
        Names by which the server may be asked, besides localhost, its own host name, `host` and
        plain addresses; ``"*.example.org"`` is every name below, ``"*"`` any name. Others are
        refused, because a web page could have its own name lead to this address (DNS rebinding).
    cors_origins : tuple of str
        Origins whose pages may read answers: ``"https://viewer.example.org"``, or ``"*"``.
    cors_credentials : bool
        Whether they may send cookies and passwords along.
    compression : bool
        Whether texts are compressed, by zstd or gzip, for clients that accept it.
    access_log : ``"path"``, ``"full"`` or ``"off"``
        What is logged of each request: its path, its query as well (which names patients), nothing.
    max_head : int
        Bytes that the head of a request may have.
    max_target : int
        Bytes that its path and query may have.
    max_body : int
        Bytes that any body may have; 0 for no limit but those of the routes.
    max_connections : int
        At the same time, in each worker.
    connections_per_address : int
        From one address, in each worker; trusted proxies may have all.
    minimum_rate : int
        Bytes a second of a body, on the average; 0 for any.
    timeouts : WebTimeouts
    tls : ServerTls or None
        Answers HTTPS instead of HTTP.
    """

    host: str = "127.0.0.1"
    port: int = field(default=8042, validator=ge(0))
    base_path: str = ""
    trusted_proxies: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    cors_credentials: bool = False
    compression: bool = True
    access_log: Literal["path", "full", "off"] = field(default="path", metadata=RELOADABLE)
    max_head: int = field(default=64 * 1024, validator=ge(1024))
    max_target: int = field(default=16 * 1024, validator=ge(256), metadata=RELOADABLE)
    max_body: int = field(default=0, validator=ge(0), metadata=RELOADABLE)
    max_connections: int = field(default=512, validator=ge(1), metadata=RELOADABLE)
    connections_per_address: int = field(default=64, validator=ge(1), metadata=RELOADABLE)
    minimum_rate: int = field(default=512, validator=ge(0), metadata=RELOADABLE)
    timeouts: WebTimeouts = field(factory=WebTimeouts)
    tls: ServerTls | None = None

    def problems(self) -> Iterator[str]:
        """Iterate over what is wrong beyond types."""
        if self.port > 65535:
            yield f"port: {self.port} is no port"
        if self.base_path and (not self.base_path.startswith("/") or self.base_path.endswith("/")):
            yield f"base_path: {self.base_path!r}: begin with a slash, end without: /pacs"
        for each in self.trusted_proxies:
            try:
                ipaddress.ip_network(each)
            except ValueError as error:
                yield f"trusted_proxies: {error}"
        if self.cors_credentials and "*" in self.cors_origins:
            yield (
                "cors_credentials: pages of any origin could act for whoever visits them; "
                "name the origins in cors_origins"
            )

    def describe(self, host: str, port: int) -> str:
        """Return the line that says where the server is, below the ``ready:`` line."""
        scheme = "https" if self.tls else "http"
        return f"web: {scheme}://{f'[{host}]' if ':' in host else host}:{port}{self.base_path}/"


@define
class CurrentConfig:
    """The settings by which goes what begins now; a reload puts others in their place.

    Attributes
    ----------
    config : WebConfig
    """

    config: WebConfig
