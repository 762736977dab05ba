"""``pacs sign``: files with a digital signature more."""

from datetime import datetime
from functools import partial
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pacs_tools.api import DicomFile, change_files, exit_code, parse_path, write_whole

from pacs_core.api.file_commands import (
    JobsOption,
    Option,
    UsageError,
    complain,
    has_dicom,
    say,
)
from pacs_core.dataset import UnknownAttribute, tag_of
from pacs_signatures.profile import PURPOSE_MEANINGS, PURPOSES, Profile, title_of

if TYPE_CHECKING:
    from cryptography import x509

    from pacs_signatures.algorithms import SigningKey
    from pacs_signatures.signing import Signer, Timestamping

Mac = Literal["sha256", "sha384", "sha512"]
Flag = Annotated[bool, Option()]
_SEQUENCE: Final = ".DigitalSignaturesSequence"


def sign(
    paths: list[Path],
    /,
    *,
    private_key: Path,
    certificate: Path,
    profile: Profile = Profile.BASE,
    mac: Mac = "sha256",
    purpose: int | None = None,
    tag: Annotated[list[str] | None, Option()] = None,
    item: str | None = None,
    timestamp_url: str | None = None,
    timestamp_ca: Path | None = None,
    password_file: Path | None = None,
    output: Annotated[Path | None, Option("--output", "-o")] = None,
    in_place: Flag = False,
    overwrite: Flag = False,
    jobs: JobsOption = 0,
) -> int:
    """Sign DICOM files (PS3.15 Annex C); all other bytes stay as they are.

    Signed files are written below --output, as they lie below the folders that are named, or in
    the place of the old ones with --in-place. Each appears when it is whole. Signatures that are
    there already stay.

    Parameters
    ----------
    paths
        Files, or folders with all below them.
    private_key
        Of RSA or ECDSA, in PEM or DER.
    certificate
        X.509 certificate of the key.
    profile
        Which attributes are signed: "base" all that can be, "creator" pixels and how they were
        made, "authorization" what was looked at, "sr" those of a structured report,
        "sr-verification" those of a verified one.
    mac
        MAC Algorithm.
    purpose
        Code of Digital Signature Purpose (PS3.16 CID 7007), 1 to 18; 0 for none; else that of the
        profile.
    tag
        Keyword of an attribute to be signed, too; with profile "base" nothing but those that are
        named. May be given several times.
    item
        SEQUENCE[1] to sign an item of a sequence, SEQUENCE[*] for each.
    timestamp_url
        Authority that timestamps signatures (RFC 3161), by HTTP or HTTPS.
    timestamp_ca
        Certificates that its timestamps are verified with, in PEM.
    password_file
        File with the password of the key, in its first line; asked for if there is none.
    output
        Folder to write to.
    in_place
        Sign the files themselves.
    overwrite
        Replace files of --output that exist.
    """
    if (output is not None) + in_place != 1:
        raise UsageError("say one of --output and --in-place")
    if purpose is not None and purpose and purpose not in PURPOSE_MEANINGS:
        raise UsageError(f"--purpose {purpose}: it is one of 1 to 18, or 0")
    place = parse_path(item + _SEQUENCE) if item else None
    if not has_dicom(paths, without=output):
        # Nobody need give a password for it, nor wait until cryptography is imported.
        return exit_code(*change_files(paths, output, lambda file, target: False, jobs=jobs))
    timestamping = _timestamping(timestamp_url, timestamp_ca)
    signer = _make_signer(
        private_key, certificate, password_file, mac, profile, purpose, tag, timestamping
    )

    from pacs_signatures.timestamps import TimestampError

    def sign_file(file: DicomFile, target: Path) -> bool:
        now = datetime.now().astimezone()
        pieces = partial(signer.sign, file, place, now)
        write_whole(file, target, pieces, replaces=in_place or overwrite)
        return True

    done, failed = change_files(paths, output, sign_file, failures=(TimestampError,), jobs=jobs)
    say(f"{done} file{'' if done == 1 else 's'} signed")
    return exit_code(done, failed)


def _timestamping(url: str | None, authority: Path | None) -> "Timestamping | None":
    if url is None:
        return None
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--timestamp-url {url}: it begins with http:// or https://")
    if authority is None:
        raise UsageError("say with --timestamp-ca whose timestamps are taken")
    from pacs_signatures.signing import Timestamping
    from pacs_signatures.trust import load_store

    try:
        return Timestamping(url, load_store(authority))
    except ValueError as error:
        raise UsageError(f"{authority}: {error}") from error


def _make_signer(
    key: Path,
    certificate: Path,
    password_file: Path | None,
    mac: Mac,
    profile: Profile,
    purpose: int | None,
    keywords: list[str] | None,
    timestamping: "Timestamping | None",
) -> "Signer":
    from pacs_signatures.algorithms import ALGORITHMS
    from pacs_signatures.signing import Signer, is_pair, is_rsa
    from pacs_signatures.trust import find_lapse, load_certificates, now

    try:
        tags = frozenset(map(tag_of, keywords or ()))
    except UnknownAttribute as error:
        raise UsageError(str(error)) from error
    loaded = _load_key(key, password_file)
    try:
        found: x509.Certificate = load_certificates(certificate)[0]
    except ValueError as error:
        raise UsageError(f"{certificate}: {error}") from error
    if not is_pair(loaded, found):
        raise UsageError(f"{certificate} is not of the key {key}")
    if lapse := find_lapse(found, now()):
        raise UsageError(f"{certificate}: {lapse}")
    if not is_rsa(loaded):
        complain(f"{key} is no RSA key: signatures do not follow the {title_of(profile)}")
    chosen = PURPOSES.get(profile, 0) if purpose is None else purpose
    algorithm = ALGORITHMS[mac.upper()]
    return Signer(loaded, found, algorithm, profile, chosen, tags, timestamping)


def _load_key(path: Path, password_file: Path | None) -> "SigningKey":
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import (
        load_der_private_key,
        load_pem_private_key,
    )

    data = path.read_bytes()
    load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
    password = None
    if password_file is not None:
        password = password_file.read_bytes().partition(b"\n")[0].rstrip(b"\r")
    try:
        try:
            key = load(data, password)
        except TypeError:  # it has a password, and none was said, or the other way round
            if password is not None:
                raise ValueError("it has no password") from None
            key = load(data, getpass(f"Password of {path}: ").encode())
    except ValueError as error:
        raise UsageError(f"{path}: it is no key, or the password is wrong: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise UsageError(f"{path}: it is neither an RSA nor an ECDSA key")
    return key
