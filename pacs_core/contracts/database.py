"""Settings of the database in which plugins keep tables of their own."""

from urllib.parse import parse_qs, urlsplit

from attrs import field, frozen

from pacs_core.contracts.secret import Secret


@frozen
class DatabaseSettings:
    """``[database]``: where the plugins that keep tables of their own keep them.

    The kernel opens no database. These keys are in one table so that a site has one to set up and
    to back up, whichever plugins there are.

    Attributes
    ----------
    url : str
        As in ``postgresql://user@host:5432/name``, or ``sqlite:///path``; empty for
        ``database.sqlite`` in the data directory.
    password : Secret or None
        That goes with the URL.
    """

    url: str = field(default="")
    password: Secret | None = None

    @url.validator
    def _check_url(self, _attribute: object, url: str) -> None:
        parts = urlsplit(url)
        if parts.password or "password" in parse_qs(parts.query):
            raise ValueError("has a password in it: put that into the key `password`")
        if url and parts.scheme not in {"postgresql", "sqlite"}:
            raise ValueError(f"begins with neither postgresql: nor sqlite:, but {parts.scheme!r}")
