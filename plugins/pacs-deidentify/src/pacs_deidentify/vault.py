"""A vault: what identifies the patients of de-identified instances, in an encrypted file.

Theory of operation
-------------------
Pseudonyms are computed from a key and lead nowhere by themselves; the vault has what they stand
for. It is JSON under AES-256-GCM (NIST SP 800-38D), with a key that scrypt (RFC 7914) derives from
the key of the pseudonyms and a salt of the file: whoever can read the vault could compute the
pseudonyms of guessed identifiers anyway. The head of the file is authenticated with the rest, so
that any change of a byte shows, as a wrong key does.

Each run adds to what is there: the file is read again, written beside, and renamed under a lock of
its folder, so that runs at the same time lose nothing of each other. A run that is killed may leave
instances of which the vault does not know yet: they are added when it is done again.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Final, Self

from attrs import asdict, define, field, frozen

from pacs_core.api.file_commands import CommandError, Draft

_MAGIC: Final = b"PACS identifier vault 1\n"
_SALT: Final = 16
_NONCE: Final = 12
_HEAD: Final = len(_MAGIC) + _SALT
_SECONDS: Final = 10.0
"""After which it is written while a folder is gone through."""

_SHARE: Final = 20
"""Times as long as it takes to write it, it is not written again."""

_MOST: Final = 1 << 30
"""Bytes of a vault, inflated."""


@frozen
class Originals:
    """What an instance had that identified somebody.

    Attributes
    ----------
    instance : str
        The new SOP Instance UID.
    study : str
        The new Study Instance UID.
    attributes : dict of str to str
        By keyword; what it did not have is left out.
    uids : dict of str to str
        Old UIDs by new ones, those of references and its own as well.
    """

    instance: str
    study: str
    attributes: dict[str, str]
    uids: dict[str, str]


@define
class Identifiers:
    """What a vault holds.

    Attributes
    ----------
    uids : dict of str to str
        Old UIDs by new ones.
    studies : dict of str to dict
        Attributes by the new Study Instance UID.
    instances : dict of str to dict
        Attributes of instances that have others than their study, by the new SOP Instance UID.
    mixed : list of str
        Studies that have such instances.
    """

    uids: dict[str, str] = field(factory=dict)
    studies: dict[str, dict[str, str]] = field(factory=dict)
    instances: dict[str, dict[str, str]] = field(factory=dict)
    mixed: list[str] = field(factory=list)

    def add(self, originals: Originals) -> None:
        """Add what an instance had."""
        self.uids.update(originals.uids)
        study, attributes = originals.study, originals.attributes
        if study and self.studies.setdefault(study, attributes) == attributes:
            self.instances.pop(originals.instance, None)
            return
        self.instances[originals.instance] = attributes
        if study and study not in self.mixed:
            self.mixed.append(study)

    def find(self, study: str, instance: str) -> dict[str, str] | None:
        """Return the attributes of an instance, None if it is not known whose it is.

        What was made of a study since is of its patient, unless that has instances of several.
        """
        if instance in self.instances:
            return self.instances[instance]
        if study in self.mixed and instance not in self.uids:
            return None
        return self.studies.get(study)


@frozen
class Vault:
    """A file with identifiers.

    Attributes
    ----------
    path : Path
    key : bytes
        That of the pseudonyms.
    """

    path: Path
    key: bytes = field(repr=False)

    def read(self) -> Identifiers:
        """Return what it holds; nothing if there is no file.

        Raises
        ------
        CommandError
            The file is no vault, the key is another, or the file was changed.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return Identifiers()
        except OSError as error:
            raise CommandError(f"{self.path}: {error.strerror or error}") from error
        if not content.startswith(_MAGIC) or len(content) < _HEAD + _NONCE:
            raise CommandError(f"{self.path}: is no vault of identifiers")
        head, nonce = content[:_HEAD], content[_HEAD : _HEAD + _NONCE]
        cipher = AESGCM(self._derive(head[len(_MAGIC) :]))
        try:
            plain = cipher.decrypt(nonce, content[_HEAD + _NONCE :], head)
        except InvalidTag:
            raise CommandError(
                f"{self.path}: the key is not that of this vault, or the file was damaged"
            ) from None
        return Identifiers(**json.loads(zlib.decompressobj().decompress(plain, _MOST)))

    def add(self, entries: Iterable[Originals]) -> None:
        """Add what instances had; it is on the disk when this returns.

        Raises
        ------
        CommandError
            As when it is read, or it cannot be written.
        """
        try:
            with _lock(self.path.absolute().parent):
                held = self.read()
                for each in entries:
                    held.add(each)
                self._write(held)
        except OSError as error:
            raise CommandError(f"{self.path}: {error.strerror or error}") from error

    def _write(self, held: Identifiers) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
        plain = zlib.compress(json.dumps(asdict(held)).encode())
        draft = Draft(self.path.absolute().parent)
        try:
            draft.write(_MAGIC + salt + nonce)
            draft.write(AESGCM(self._derive(salt)).encrypt(nonce, plain, _MAGIC + salt))
            draft.finish(name=self.path.name, durable=True)
        finally:
            draft.discard()

    def _derive(self, salt: bytes) -> bytes:
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        return Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(self.key)


class Ledger:
    """Adds to a vault while a folder is gone through: whoever kills that loses little.

    A vault is written as a whole, so that it is done the more seldom the longer it takes.

    Parameters
    ----------
    vault : Vault
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._entries: list[Originals] = []
        self._due = monotonic() + _SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Add also what was made before something went wrong."""
        self._write()

    def add(self, originals: Originals) -> None:
        """Add what an instance had, soon."""
        self._entries.append(originals)
        if monotonic() >= self._due:
            self._write()

    def _write(self) -> None:
        start = monotonic()
        self._vault.add(self._entries)
        self._entries = []
        self._due = monotonic() + max(_SECONDS, _SHARE * (monotonic() - start))


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
