"""Identities of associating peers: user identity (PS3.7 D.3.3.7), certificate, AE title."""

from typing import Final

from pacs_auth_local.bindings import BindingError
from pacs_auth_local.identities import LocalIdentities, SignInError
from pacs_auth_local.users import User
from pacs_core.contracts import Authenticated, Authenticator, Node, Origin, Principal, Refused
from pacs_core.upper_layer import (
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    NO_REASON_GIVEN,
    AssociateRJ,
    AssociateRQ,
    UserIdentity,
    UserIdentityType,
)

_FOR_NOW: Final = AssociateRJ(result=2, source=1, reason=1)
"""Rejected for now, no reason given (PS3.8 Table 9-21)."""

_UNSUPPORTED: Final = {
    UserIdentityType.KERBEROS: "a Kerberos service ticket",
    UserIdentityType.SAML: "a SAML assertion",
}


class PeerAuthenticator(Authenticator):
    """Knows peers by what they present; a user identity says more than the machine's.

    Every rejection of a user identity is without reason, so that nobody learns what was wrong.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    async def start(self) -> None:
        """See base."""
        self._identities = self._node.find(LocalIdentities)

    async def is_in_use(self) -> bool:
        """See base."""
        return self._identities.bindings.has_some or await self._identities.is_anybody_known()

    async def authenticate(
        self, request: AssociateRQ, origin: Origin
    ) -> Authenticated | Refused | None:
        """See base."""
        try:
            principal = self._identities.bindings.find(origin)
        except BindingError as error:
            return Refused(CALLING_AE_TITLE_NOT_RECOGNIZED, str(error))
        identity = request.user_information.user_identity
        if identity is None or await self._is_for_others(identity):
            return Authenticated(principal) if principal else None
        try:
            principal = await self._identify(identity, origin)
        except SignInError as error:
            return Refused(_FOR_NOW if error.wait else NO_REASON_GIVEN, str(error))
        return Authenticated(principal, b"")

    async def _is_for_others(self, identity: UserIdentity) -> bool:
        """Tell whether another authenticator may know it; if none does, it is refused in the end.

        Where there is no user yet, names are those of another source.
        """
        if identity.type == UserIdentityType.JWT:
            return True
        is_named = identity.type in {
            UserIdentityType.USERNAME,
            UserIdentityType.USERNAME_AND_PASSCODE,
        }
        return is_named and not await self._identities.is_anybody_known()

    async def _identify(self, identity: UserIdentity, origin: Origin) -> Principal:
        if identity.type not in {UserIdentityType.USERNAME, UserIdentityType.USERNAME_AND_PASSCODE}:
            what = (
                _UNSUPPORTED.get(UserIdentityType(identity.type))
                if identity.type in set(UserIdentityType)
                else f"a user identity of type {identity.type}"
            )
            raise SignInError(f"{what} is not supported: say username and passcode, or a JWT")
        try:
            name, passcode = identity.primary.decode(), identity.secondary.decode()
        except UnicodeDecodeError:
            raise SignInError("username and passcode are not in UTF-8") from None
        if identity.type == UserIdentityType.USERNAME:
            return self._principal(await self._believe(name), origin, "username")
        user = await self._identities.check_password(name, passcode, origin)
        return self._principal(user, origin, "passcode")

    async def _believe(self, name: str) -> User:
        if not self._identities.config.trust_usernames:
            raise SignInError("a username without passcode is not enough here")
        user = await self._identities.find_user(name)
        if user is None:
            raise SignInError("name or password is wrong")
        return user

    def _principal(self, user: User, origin: Origin, method: str) -> Principal:
        if user.ae_titles and origin.calling_ae_title not in user.ae_titles:
            raise SignInError(f"{user.name!a} may not come as {origin.calling_ae_title!a}")
        return user.principal(method)

    async def refuse_anonymous(self, request: AssociateRQ, origin: Origin) -> Refused | None:
        """See base."""
        if self._identities.config.anonymous == "refused":
            return Refused(NO_REASON_GIVEN, "it does not say who it is")
        return None
