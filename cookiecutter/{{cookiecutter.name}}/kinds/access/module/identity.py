"""Who a peer is: the names that rules are about."""

from pacs_core.contracts import Authenticated, Authenticator, Origin, Principal, Refused
from pacs_core.upper_layer import AssociateRJ, AssociateRQ

from {{ cookiecutter.__package }}.config import Config

_UNKNOWN = AssociateRJ(result=1, source=1, reason=3)
"""Calling AE title not recognized (PS3.8 Table 9-21)."""


class CallingTitles(Authenticator):
    """Knows peers by their AE titles, which prove nothing: put something better here.

    Parameters
    ----------
    config : Config
    """

    def __init__(self, config: Config) -> None:
        self._known = {peer for rule in config.rule for peer in rule.peers}

    async def authenticate(self, request: AssociateRQ, origin: Origin) -> Authenticated | Refused:
        """See base."""
        title = origin.calling_ae_title
        if title not in self._known:
            return Refused(_UNKNOWN, f"no rule is about {title!r}")
        return Authenticated(Principal(title, method="ae-title"))
