"""The table ``[plugin.signatures]``."""

from typing import Literal

from attrs import field, frozen
from attrs.validators import in_

from pacs_signatures.profile import Profile

_POLICIES = ("off", "warn", "reject", "set-aside")
_PROFILES = ("", *(profile.value for profile in Profile))


@frozen
class SignaturesConfig:
    """What becomes of instances that arrive with digital signatures.

    Attributes
    ----------
    on_ingest : str
        What is done about a signature that is not valid, or not by who is trusted: ``"off"``
        verifies none, ``"warn"`` says so in the log and the audit trail and stores the instance,
        ``"reject"`` refuses it, ``"set-aside"`` refuses it and keeps what came in
        ``signatures/aside`` of the data directory.
    trusted : str
        File with certificates in PEM, of authorities or of signers. Empty trusts whoever has
        signed.
    timestamp_authorities : str
        File with those that timestamps are verified with; empty for those of `trusted`.
    revocation_lists : str
        File with revocation lists or OCSP responses of those of `trusted`, in PEM or DER, or folder
        with such files. They are read again when they change. Empty looks at none.
    require : str
        Profile of which an instance must have a valid signature, else the same is done:
        ``"base"`` for any signature, ``"creator"``, ``"authorization"``, ``"sr"``,
        ``"sr-verification"``. Empty lets in what has no signature.
    """

    on_ingest: Literal["off", "warn", "reject", "set-aside"] = field(
        default="off", validator=in_(_POLICIES)
    )
    trusted: str = ""
    timestamp_authorities: str = ""
    revocation_lists: str = ""
    require: str = field(default="", validator=in_(_PROFILES))
