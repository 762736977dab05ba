"""Checkpoints: the end of the chain at a time, signed by the node (Ed25519, RFC 8032)."""

import base64
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from pacs_audit_json.key_pem import read_pem, write_pem

# Theory of operation
#
# Whoever can write the files can also write another chain, with all digests right. A checkpoint
# says which record had which digest, under a signature that only the holder of the key can make. It
# also tells that records were there, so that none can be taken off the end; only what is younger
# than the last checkpoint can. The checkpoints themselves can be taken away, so keep a copy where
# this machine cannot write.

KEY_MODE: Final = 0o600
_CONTEXT: Final = "pacs-audit-checkpoint"


class KeyFileError(OSError):
    """The file of the key cannot be used; the message says why."""


@frozen
class Checkpoint:
    """The chain as it was.

    Attributes
    ----------
    time : str
        When it was signed, in ISO 8601, UTC.
    sequence, digest : int and str
        The last record, and the digest of its line.
    first : int
        Number of the first record that is kept: those before it were removed as configured.
    key : str
        Public key that the signature is of.
    signature : str
        In base64.
    """

    time: str
    sequence: int
    digest: str
    first: int
    key: str = ""
    signature: str = ""

    @property
    def message(self) -> bytes:
        """What is signed."""
        parts = (_CONTEXT, self.time, str(self.sequence), self.digest, str(self.first))
        return "\n".join(parts).encode("ascii", "backslashreplace")

    def is_genuine(self) -> bool:
        """Tell whether the key that it names has signed it."""
        try:
            key = VerifyKey(base64.b64decode(self.key, validate=True))
            key.verify(self.message, base64.b64decode(self.signature, validate=True))
        except (ValueError, BadSignatureError):
            return False
        return True

    def to_line(self) -> bytes:
        """Return it as a line of JSON."""
        fields = {
            "time": self.time,
            "sequence": self.sequence,
            "digest": self.digest,
            "first": self.first,
            "key": self.key,
            "signature": self.signature,
        }
        return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"


def parse_checkpoint(line: bytes) -> Checkpoint | None:
    """Return the checkpoint of a line; None if it is none."""
    try:
        fields: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    texts, numbers = ("time", "digest", "key", "signature"), ("sequence", "first")
    if (
        not isinstance(fields, dict)
        or not all(isinstance(fields.get(name), str) for name in texts)
        or not all(type(fields.get(name)) is int for name in numbers)
    ):
        return None
    return Checkpoint(**{name: fields[name] for name in (*texts, *numbers)})


class NodeKey:
    """The key with which a node signs.

    Parameters
    ----------
    private : SigningKey
    """

    def __init__(self, private: SigningKey) -> None:
        self._private = private
        self.public = base64.b64encode(bytes(private.verify_key)).decode("ascii")

    def sign(self, sequence: int, digest: str, first: int) -> Checkpoint:
        """Return a checkpoint of now."""
        time = datetime.now(UTC).isoformat(timespec="microseconds")
        unsigned = Checkpoint(time, sequence, digest, first)
        signature = base64.b64encode(self._private.sign(unsigned.message).signature).decode("ascii")
        return Checkpoint(time, sequence, digest, first, self.public, signature)


def load_key(path: Path) -> NodeKey:
    """Return the key of a file; one is made if there is none.

    The public key goes into a file beside it, with the suffix ``.pub``.

    Raises
    ------
    KeyFileError
        It cannot be read or made, or holds no Ed25519 key.
    """
    try:
        with suppress(FileExistsError):
            _create_key(path)
        key = NodeKey(SigningKey(read_pem(path.read_bytes())))
    except (OSError, ValueError) as error:
        raise _unusable(path, str(error)) from error
    _note_public_key(path, key.public)
    return key


def public_key_file(path: Path) -> Path:
    """Return where the public keys lie that belong to a file with a private one."""
    return path.with_name(path.name + ".pub")


def read_public_keys(path: Path) -> list[str]:
    """Return the public keys of a file, one a line; none if there is no file."""
    try:
        return path.read_text("ascii", "replace").split()
    except FileNotFoundError:
        return []


def _unusable(path: Path, why: str) -> KeyFileError:
    return KeyFileError(
        f"the key of the audit trail in {path} cannot be used ({why}): correct `key` in "
        "[plugin.audit-json], or give it a PEM file with an Ed25519 key "
        "(openssl genpkey -algorithm ed25519)"
    )


def _create_key(path: Path) -> None:
    # Under another name first, so that a crash leaves no half key where the whole one belongs.
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    if path.exists():
        return
    pem = write_pem(bytes(SigningKey.generate()))
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, KEY_MODE)
    try:
        os.write(file, pem)
        os.fsync(file)
        os.link(draft, path)
    finally:
        os.close(file)
        draft.unlink()


def _note_public_key(path: Path, public: str) -> None:
    """Add the key to those that this node has signed with."""
    file = public_key_file(path)
    if public not in read_public_keys(file):
        with suppress(OSError), file.open("a", encoding="ascii") as keys:
            keys.write(public + "\n")
