"""The contract of what tells who a request comes from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen

from pacs_core.contracts import Component, Node, Origin, Principal

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection


@frozen
class WebRefusal:
    """A request may not be made.

    Attributes
    ----------
    reason : str
        For the client, the log and the audit trail.
    status : int
        Of the response: 401, or 403, or 303 with a ``Location`` for people who shall log in.
    headers : mapping of str to str
        Of the response: ``WWW-Authenticate`` belongs to 401 (RFC 9110 §11.6.1).
    """

    reason: str
    status: int = 401
    headers: Mapping[str, str] = field(factory=dict)


class WebAuthenticator(Component, ABC):
    """Tells who a request comes from; see the hook ``pacs_web_authenticators``.

    It is a component of the web server: started before the first request, and stopped after the
    last. One that raises refuses.
    """

    @abstractmethod
    async def authenticate(
        self, request: "HTTPConnection", origin: Origin
    ) -> Principal | WebRefusal | None:
        """Judge a request by its headers; None has no opinion.

        Parameters
        ----------
        request : HTTPConnection
            Headers, cookies, path; the body is not there yet.
        origin : Origin
            From where, without a principal.
        """

    async def refuse_anonymous(
        self, request: "HTTPConnection", origin: Origin
    ) -> WebRefusal | None:
        """Judge a request of which no authenticator knows who makes it; None lets it in.

        Asked after all have been asked to authenticate it: whoever demands that people sign in
        does so here, because who is unknown to it may be known to another.
        """
        return None


@frozen
class WebAuthenticatorDescriptor:
    """An authenticator of requests."""

    name: str
    create: Callable[[Node], WebAuthenticator]
