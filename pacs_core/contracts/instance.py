"""Composite SOP instances as the archive knows them: identity, whereabouts, origin."""

from collections.abc import Mapping
from typing import NamedTuple

from attrs import field, frozen

from pacs_core.contracts.tls import TlsInfo
from pacs_core.dataset import Attributes


class InstanceNotFoundError(LookupError):
    """The archive holds no such instance."""


class InstancePath(NamedTuple):
    """The name under which an archive keeps an instance.

    A SOP Instance UID should be unique (PS3.5 §9), but is not always: two studies, even of two
    patients, may have instances with the same one. Within its study it names one instance.
    """

    study_instance_uid: str
    sop_instance_uid: str


@frozen
class InstanceIdentity:
    """The UIDs that name an instance and its place in the hierarchy (PS3.3 A.1.2).

    Every UID has been validated (PS3.5 §9.1) before an identity is made, so that an object
    store may use them in names.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str

    @property
    def path(self) -> InstancePath:
        """The name under which an archive keeps the instance."""
        return InstancePath(self.study_instance_uid, self.sop_instance_uid)


@frozen
class Principal:
    """Who acts, and how the node knows that.

    Attributes
    ----------
    name : str
        Unique among the principals of the node; for rules, logs and audit events.
    roles : frozenset of str
        Roles or groups, for rules.
    method : str
        How the name was authenticated: ``"passcode"``, ``"jwt"``, ``"tls"``, ``"ae-title"``,
        ``"local"``, or what the authenticator calls it.
    claims : mapping of str to str
        What else the authenticator vouches for, such as an issuer or an organization. Never a
        secret.
    actions : frozenset of str or None
        What it acts for at most, such as the scope of a token: the node denies all other actions
        (:class:`AccessAction`, and those of plugins), whatever authorizers say. None for no bound.
    """

    name: str
    roles: frozenset[str] = frozenset()
    method: str = ""
    claims: Mapping[str, str] = field(factory=dict, hash=False)
    actions: frozenset[str] | None = None


@frozen
class Origin:
    """Who handed something to the node, and from where.

    Attributes
    ----------
    interface : str
        The door: ``"DIMSE"``, ``"import"``, ``"rebuild"``, ...
    calling_ae_title, called_ae_title : str
        Of the association; empty where there is none.
    host : str
        Address of the peer; empty for local origins.
    port : int
        TCP port of the peer.
    principal : Principal or None
        Who was authenticated; None when nobody was.
    association : str
        Identifier of the association in logs and audit events.
    tls : TlsInfo or None
        How the connection is secured, and what certificate its other end has shown; None if it is
        not.
    """

    interface: str
    calling_ae_title: str = ""
    called_ae_title: str = ""
    host: str = ""
    port: int = 0
    principal: Principal | None = None
    association: str = ""
    tls: TlsInfo | None = None

    @property
    def user(self) -> str:
        """Name of the principal; empty if there is none."""
        return self.principal.name if self.principal else ""


@frozen
class StoredInstance:
    """Where an instance lies, and what is needed to send it.

    Attributes
    ----------
    identity : InstanceIdentity
    transfer_syntax_uid : str
        Transfer syntax of the stored dataset.
    key : str
        Key of the Part 10 object in the object store.
    size : int
        Size of the Part 10 object in bytes.
    dataset_offset : int
        Where the dataset begins in the object, after preamble and file meta information.
    digest : bytes
        Fixity digest of the dataset's bytes as they were stored; empty if it is not known.
    corrections : tuple of int
        Numbers of the corrections that apply to it, in order: `identity` is what these have made
        of it, and so is what an archive hands out. All else is about the object as it is stored.
    origin : Origin or None
        Who handed it to the archive: door, AE titles and the name of the principal, which is what
        an index keeps. None if it is not known, as of what an earlier version stored. Two that
        differ in nothing else are equal.
    """

    identity: InstanceIdentity
    transfer_syntax_uid: str
    key: str
    size: int
    dataset_offset: int
    digest: bytes = b""
    corrections: tuple[int, ...] = ()
    origin: Origin | None = field(default=None, eq=False)


@frozen
class InstanceRecord:
    """What the archive gives to an index: an instance and its attributes.

    Attributes
    ----------
    instance : StoredInstance
    attributes : Attributes
        Values of the tags in :attr:`Index.wanted_tags` that the dataset has, as Unicode.
    """

    instance: StoredInstance
    attributes: Attributes = field(factory=dict)
