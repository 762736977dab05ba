"""``pacs verify``: the digital signatures of files, listed and verified."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from pacs_tools.api import DicomFile, explain, open_dicom

from pacs_core.api.file_commands import (
    CommandError,
    JobsOption,
    JsonOption,
    Option,
    UsageError,
    complain,
    complain_of_nothing,
    dump_json,
    escape,
    has_dicom,
    map_files,
    walk,
)
from pacs_core.dataset import NotPart10, keyword_of
from pacs_signatures.profile import Profile, title_of

if TYPE_CHECKING:
    from pacs_signatures.model import DigitalSignature
    from pacs_signatures.verifying import Policy, Verification

Flag = Annotated[bool, Option()]
_NAMED: Final = 5


def verify(
    paths: list[Path],
    /,
    *,
    ca: Path | None = None,
    any_signer: Flag = False,
    intermediates: Path | None = None,
    timestamp_ca: Path | None = None,
    crl: Annotated[list[Path] | None, Option("--crl", "--ocsp")] = None,
    require: Profile | None = None,
    require_timestamp: Flag = False,
    list_: Annotated[bool, Option("--list")] = False,
    json: JsonOption = False,
    jobs: JobsOption = 0,
) -> int:
    """Verify the digital signatures of DICOM files, in items of sequences too (PS3.15 Annex C).

    The exit code is 1 if a signature is not valid, its signer not trusted, or one is missing that
    is required; and 3 if no file has a signature.

    Parameters
    ----------
    paths
        Files, or folders with all below them.
    ca
        Certificates in PEM, of authorities or of signers, who are trusted.
    any_signer
        Trust whoever has signed: says whether something has changed, and not who has signed.
    intermediates
        Certificates in PEM of authorities in between, not trusted by themselves.
    timestamp_ca
        Certificates in PEM that timestamps are verified with; else those of --ca.
    crl
        Revocation lists or OCSP responses in PEM or DER, or a folder with such; may be given
        several times. Each certificate of a chain must be told of by its authority.
    require
        Each file must have a valid signature with what this profile wants signed; "base" any.
    require_timestamp
        Each signature must have a timestamp.
    list_
        Print what signatures there are, and verify nothing.
    json
        Print an object for each signature, in a line of its own.
    """
    problems: list[str] = []
    if not list_:
        _check_trust(ca, any_signer, crl or [])
    if require_timestamp and (list_ or not (timestamp_ca or ca)):
        raise UsageError("--require-timestamp: say with --timestamp-ca whose are taken")
    # What has no file to verify need not wait until cryptography is imported.
    needs_policy = not list_ and has_dicom(paths)
    policy = _make_policy(ca, intermediates, timestamp_ca, crl or []) if needs_policy else None

    def verify_found(found: tuple[Path, bool]) -> tuple[int, list[str]]:
        """Return how many signatures a file has, and what is wrong."""
        path, named = found
        faults: list[str] = []
        try:
            with open_dicom(path) as file:
                if list_:
                    described = _list(file)
                else:
                    verifications = list(_verify(file, policy))
                    faults += _judge(file, verifications, require, require_timestamp)
                    described = [_describe_verified(each) for each in verifications]
        except (NotPart10, OSError) as error:
            reason = explain(path, named, error)
            return 0, [f"{path}: {reason}"] if reason else []
        except CommandError as error:
            return 0, [f"{path}: {error}"]
        for each in described:
            print(dump_json({"file": str(path), **each}) if json else _show(path, each))
        return len(described), faults

    count = 0
    results = map_files(verify_found, walk(paths), jobs, label="verifying", prints=True)
    for number, faults in results:
        count += number
        problems += faults
    for problem in problems:
        complain(problem)
    if problems or count:
        return 1 if problems else 0
    return complain_of_nothing("no file has a digital signature")


def _check_trust(ca: Path | None, any_signer: bool, crl: list[Path]) -> None:
    if (ca is not None) == any_signer:
        raise UsageError("say who is trusted: --ca FILE, or --any-signer")
    if crl and ca is None:
        raise UsageError("--crl: say with --ca who is trusted, if he is not on the list")


def _make_policy(
    ca: Path | None,
    intermediates: Path | None,
    timestamp_ca: Path | None,
    crl: list[Path],
) -> "Policy":
    from pacs_signatures.revocation import load_lists
    from pacs_signatures.trust import load_certificates, load_store
    from pacs_signatures.verifying import Policy

    try:
        trusted = load_store(ca) if ca else None
        authorities = load_store(timestamp_ca) if timestamp_ca else trusted
        others = load_certificates(intermediates) if intermediates else ()
        lists = load_lists(crl) if crl else None
    except ValueError as error:
        raise UsageError(f"certificates cannot be read: {error}") from error
    return Policy(trusted, authorities, tuple(others), lists)


def _verify(file: DicomFile, policy: "Policy | None") -> "Iterator[Verification]":
    if policy is None:  # none of the files was one when they were looked at
        raise CommandError("not a DICOM file")
    from pacs_signatures.verifying import verify_file

    if file.damage:
        raise CommandError(f"damaged: {file.damage}")
    return verify_file(file, policy)


def _judge(
    file: DicomFile,
    found: "list[Verification]",
    require: Profile | None,
    require_timestamp: bool,
) -> Iterator[str]:
    for each in found:
        if each.reason:
            yield f"{file.path}: signature {escape(each.signature.uid)}: {escape(each.reason)}"
        elif require_timestamp and each.timestamp is None:
            yield f"{file.path}: signature {escape(each.signature.uid)} has no Certified Timestamp"
    if require is not None and not any(each.satisfies(require) for each in found):
        yield f"{file.path}: it has no valid signature by the {title_of(require)}"


def _list(file: DicomFile) -> list[dict[str, Any]]:
    from pacs_signatures.model import find_signatures

    return [_describe(each) for each in find_signatures(file.elements)]


def _describe(signature: "DigitalSignature") -> dict[str, Any]:
    algorithms = [each.algorithm for each in signature.parameters]
    tags = {tag for each in signature.parameters for tag in each.tags}
    return {
        "uid": signature.uid,
        "item": signature.where,
        "made": signature.when,
        "purpose": signature.purpose[1],
        "mac": ", ".join(algorithms),
        "signed": len(tags),
    }


def _describe_verified(found: "Verification") -> dict[str, Any]:
    return {
        **_describe(found.signature),
        "signer": found.signer,
        "status": found.status.value,
        "reason": found.reason,
        "timestamp": found.timestamp.isoformat() if found.timestamp else "",
        "weak": found.is_weak,
        "unsigned": [keyword_of(tag) for tag in found.unsigned],
    }


def _show(path: Path, each: dict[str, Any]) -> str:
    """Return what is to be said of a signature in a line."""
    where = f" of {each['item']}" if each["item"] else ""
    parts = [f"{each['signed']} attributes signed with {each['mac'] or 'no MAC'}"]
    if each["purpose"]:
        parts.append(each["purpose"])
    if "status" in each:
        head = f"{each['status']}, by {each['signer'] or 'nobody'}, {each['made']}"
        if each["timestamp"]:
            parts.append(f"timestamp {each['timestamp']}")
        if each["weak"]:
            parts.append("its MAC Algorithm is weak")
        if unsigned := each["unsigned"]:
            more = f" and {len(unsigned) - _NAMED} more" if len(unsigned) > _NAMED else ""
            parts.append(f"not signed: {', '.join(unsigned[:_NAMED])}{more}")
    else:
        head = each["made"]
    return escape(f"{path}: signature {each['uid']}{where}: {head}; {'; '.join(parts)}")
