"""The hook that this plugin publishes."""

from collections.abc import Sequence

from pacs_auth_local.api import SignInMethod
from pacs_core.contracts import Setup
from pacs_core.plugins import hookspec


@hookspec
def pacs_sign_in_methods(setup: Setup) -> Sequence[SignInMethod]:
    """Return further ways to sign in, for the page where people do.

    Example
    -------
    ::

        @hookimpl(optionalhook=True)
        def pacs_sign_in_methods(setup: Setup) -> list[SignInMethod]:
            return [SignInMethod("Sign in with a smart card", "/smart-card/begin")]
    """
    raise NotImplementedError
