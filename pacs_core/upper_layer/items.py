"""Items inside A-ASSOCIATE PDUs: presentation contexts and user information."""

from enum import IntEnum
from typing import Final

from attrs import frozen

DICOM_APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"


class ContextResultCode(IntEnum):
    """Result/Reason of a presentation context (PS3.8 Table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class UserIdentityType(IntEnum):
    """Form of a user identity (PS3.7 §D.3.3.7.1)."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JWT = 5


@frozen
class ProposedContext:
    """A presentation context as proposed by the requestor (PS3.8 §9.3.2.2)."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@frozen
class ContextResult:
    """The acceptor's answer to one proposed presentation context (PS3.8 §9.3.3.2).

    `transfer_syntax` is None unless the context is accepted: it is not significant then.
    """

    id: int
    result: ContextResultCode
    transfer_syntax: str | None = None


@frozen
class AsynchronousOperations:
    """Asynchronous operations window (PS3.7 §D.3.3.3); 0 means unlimited."""

    max_invoked: int = 1
    max_performed: int = 1


@frozen
class RoleSelection:
    """SCP/SCU role selection of one SOP class (PS3.7 §D.3.3.4): the requestor's roles."""

    sop_class_uid: str
    scu: bool
    scp: bool


@frozen
class ExtendedNegotiation:
    """SOP class extended negotiation (PS3.7 §D.3.3.5)."""

    sop_class_uid: str
    application_information: bytes


@frozen
class CommonExtendedNegotiation:
    """SOP class common extended negotiation (PS3.7 §D.3.3.6); in requests only."""

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...] = ()


@frozen
class UserIdentity:
    """User identity proposed by the requestor (PS3.7 §D.3.3.7.1).

    Attributes
    ----------
    type : int
        One of `UserIdentityType`; other values are kept as received for policy to refuse.
    positive_response_requested : bool
    primary : bytes
        Username, Kerberos ticket, SAML assertion or JSON web token.
    secondary : bytes
        The passcode; empty for all other types.
    """

    type: int
    positive_response_requested: bool
    primary: bytes
    secondary: bytes = b""

    def __repr__(self) -> str:
        """Leave the credentials out: requests are logged."""
        return f"UserIdentity(type={self.type}, ...)"


@frozen
class UserInformation:
    """User information of an A-ASSOCIATE PDU (PS3.8 §9.3.2.3, PS3.7 §D.3.3).

    Attributes
    ----------
    maximum_length : int
        Largest P-DATA-TF PDU-length, in bytes, that the sender of this can receive; 0 means
        unlimited.
    user_identity : UserIdentity or None
        Only in requests.
    user_identity_response : bytes or None
        Only in responses.
    """

    maximum_length: int = 0
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    asynchronous_operations: AsynchronousOperations | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    user_identity_response: bytes | None = None
