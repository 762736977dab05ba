"""``pacs deidentify``."""

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Annotated, Final

from attrs import asdict, evolve

from pacs_core.api.file_commands import (
    CommandError,
    ConfigOption,
    JobsOption,
    JsonOption,
    Option,
    UsageError,
    complain,
    complain_of_nothing,
    find_config,
    has_dicom,
    progress,
    say,
    walk,
)
from pacs_deidentify.options import Option as ProfileOption

# The rest is imported when it is known that there is something to do: pydicom takes its time.
if TYPE_CHECKING:
    from pacs_core.api.commands import Assembly
    from pacs_deidentify.batch import FileResult
    from pacs_deidentify.compressed_files import Recompressor
    from pacs_deidentify.config import DeidentifyConfig
    from pacs_deidentify.profile import Profile
    from pacs_deidentify.vault import Vault

_REPORT: Final = b'{"edition": '
"""With what a report begins."""

KEY_VARIABLE: Final = "PACS_DEIDENTIFY_KEY"


def deidentify(
    source: Path,
    output: Path,
    /,
    *,
    profile: str = "",
    option: Annotated[list[ProfileOption] | None, Option()] = None,
    key_file: Path | None = None,
    report: Path | None = None,
    keep_leaking: Annotated[bool, Option()] = False,
    vault: Path | None = None,
    ocr: Annotated[bool, Option()] = False,
    overwrite: Annotated[bool, Option()] = False,
    jobs: JobsOption = 0,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> int:
    """De-identify DICOM files by the profiles of PS3.15 Annex E.

    What is made of a file is OUT/STUDY/SERIES/INSTANCE.dcm, by the new UIDs. Nothing of the input
    is changed. Files that are not safe to let out are refused: those in which text is burnt in, for
    instance.

    Pseudonyms, UIDs and the shift of dates depend on a secret key, which is read from --key-file,
    from $PACS_DEIDENTIFY_KEY, or from where the configuration says. With the same key they are the
    same in every run. Without any, a key is made that is forgotten afterwards.

    Parameters
    ----------
    source
        A file, or a folder with all below it.
    output
        Folder for what is made.
    profile
        Of the configuration; else the one that it names, which by itself is "basic".
    option
        What to retain or clean in addition to the profile; may be given several times.
    key_file
        File with the key, at least 16 characters.
    report
        Search what is made for all that its original tells of people, before it gets its name, and
        write to this file what was done and found, one JSON object a line. What shows something is
        not kept.
    keep_leaking
        Keep it all the same; the exit code still says that there is some.
    vault
        File, encrypted under the key, to which is added who the instances are of, for
        `pacs reidentify`.
    ocr
        Look for text in pixels, which takes a second for each frame: it is
        blanked with the option clean-pixel-data, else the file is refused, or flagged, as the
        profile says.
    overwrite
        Replace files that exist.
    json
        Print what became of each file, one JSON object a line.
    """
    if not source.exists():
        raise UsageError(f"{source} does not exist")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is no folder")
    if output.resolve() == source.resolve():
        raise UsageError("the input is never changed: name another folder for what is made")
    for path in filter(None, (report, vault, key_file)):
        _check_place(path, output)
    if report:
        _check_report(report, overwrite)
    if ocr and not _can_read_pixels():
        raise UsageError("--ocr needs pip install 'pacs-deidentify[ocr]', for Python before 3.13")
    if not has_dicom([source], without=output):
        return complain_of_nothing()
    from pacs_deidentify.batch import Batch
    from pacs_deidentify.profiles import make_profile
    from pacs_deidentify.vault import Ledger

    assembly = load_assembly(config)
    settings = settings_of(assembly)
    key = read_key(key_file, settings)
    safe = _open_vault(vault, key) if vault else None
    if key is None:
        key = secrets.token_bytes(32)
        complain(
            "no key is given, so that another run makes other UIDs and pseudonyms; "
            f"see --key-file and ${KEY_VARIABLE}"
        )
    try:
        made = make_profile(settings, profile, key, option or ())
    except ValueError as error:
        raise UsageError(str(error)) from error
    batch = Batch(
        made,
        output,
        overwrite,
        prove=report is not None,
        keeps_leaking=keep_leaking,
        keeps=safe is not None,
        reads_pixels=ocr,
    )
    outcomes: Counter[str] = Counter()
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(safe)) if safe else None
        lines = stack.enter_context(_open_report(report)) if report else None
        if lines:
            _write_line(lines, _head(made))
        advance = stack.enter_context(progress("de-identifying", None))
        recompressor: Recompressor | None = None
        if ProfileOption.CLEAN_VISUAL_FEATURES in made.options and _can_find_faces():
            # The extra brings what it imports.
            from pacs_deidentify.face_search import look_for_faces

            recompressor = stack.enter_context(_open_recompressor(assembly))
            faces = Path(stack.enter_context(TemporaryDirectory()))
            batch = evolve(batch, faces=faces)
            files = (path for path, _ in walk([source], without=output))
            look_for_faces(files, made, faces, jobs, recompressor.open_native)
        for result in batch.run((path for path, _ in walk([source], without=output)), jobs):
            advance(1)
            if result.outcome == "compressed":
                recompressor = recompressor or stack.enter_context(_open_recompressor(assembly))
                result = recompressor.one(batch, result.source)
            outcomes[result.outcome] += 1
            if ledger and result.originals:
                ledger.add(result.originals)
            _tell(result, json)
            if lines:
                _write_line(lines, _record(result))
    return _summarize(outcomes, json)


def _can_find_faces() -> bool:
    return all(find_spec(name) is not None for name in ("nibabel", "niimath", "scipy"))


def _can_read_pixels() -> bool:
    return find_spec("rapidocr_onnxruntime") is not None


def load_assembly(config: Path | None) -> "Assembly | None":
    """Return configuration and plugins; None without a config file, since all are imported."""
    return _assemble(config) if find_config(config) else None


def _assemble(config: Path | None) -> "Assembly":
    from pacs_core.api.commands import assemble, load_config

    return assemble(load_config(config))


def settings_of(assembly: "Assembly | None") -> "DeidentifyConfig":
    """Return what the configuration says of de-identification."""
    from pacs_deidentify.config import DeidentifyConfig

    if assembly is None:
        return DeidentifyConfig()
    return assembly.setup_for("deidentify").config(DeidentifyConfig)


def _open_recompressor(assembly: "Assembly | None") -> "Recompressor":
    from pacs_deidentify.compressed_files import Recompressor

    return Recompressor(assembly or _assemble(None))


def _check_place(path: Path, output: Path) -> None:
    """Refuse what names people, or leads to them, in the folder that is given out."""
    if path.resolve().is_relative_to(output.resolve()):
        raise UsageError(f"{path} would be given out with what is made: keep it elsewhere")


def _check_report(path: Path, overwrite: bool) -> None:
    """Refuse to replace what is no report, as a file of the input."""
    if not path.is_file() or overwrite:
        return
    with path.open("rb") as file:
        if (start := file.read(len(_REPORT))) and start != _REPORT:
            raise UsageError(f"{path} exists, and is no report; replace it with --overwrite")


def _open_vault(path: Path, key: bytes | None) -> "Vault":
    if key is None:
        raise UsageError("a vault needs a key that is kept: see --key-file")
    from pacs_deidentify.vault import Vault

    vault = Vault(path, key)
    vault.read()
    return vault


def read_key(key_file: Path | None, settings: "DeidentifyConfig") -> bytes | None:
    """Return the key, None if none is given."""
    if key_file:
        try:
            return key_file.read_bytes().strip()
        except OSError as error:
            raise CommandError(f"{key_file}: {error.strerror or error}") from error
    if text := os.environ.get(KEY_VARIABLE):
        return text.encode()
    if settings.key:
        try:
            return settings.key.reveal().encode()
        except LookupError as error:
            raise CommandError(f"the key: {error}") from error
    return None


def _open_report(path: Path) -> IO[str]:
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from error


def _head(profile: "Profile") -> dict[str, object]:
    from pacs_deidentify.tables import load_profile

    return {
        "edition": load_profile().edition,
        "profile": profile.name,
        "options": sorted(profile.options),
    }


def _record(result: "FileResult") -> dict[str, object]:
    record = asdict(result) | {"source": str(result.source)}
    del record["originals"]
    return record


def _write_line(out: IO[str], record: dict[str, object]) -> None:
    out.write(json.dumps(record) + "\n")


def _tell(result: "FileResult", as_json: bool) -> None:
    if as_json:
        record = _record(result)
        del record["changes"]
        print(json.dumps(record))
    elif result.leaks:
        kept = f"kept as {result.target}" if result.target else "not kept"
        complain(f"{result.source}: {kept}: identifying values in {', '.join(result.leaks)}")
    elif result.outcome in {"refused", "failed"}:
        complain(f"{result.source}: {result.reason}")
    else:
        for warning in result.warnings:
            complain(f"{result.source}: {warning}")


def _summarize(outcomes: Counter[str], as_json: bool) -> int:
    """Say how many files there were of each outcome; return the exit code."""
    if not as_json:
        say(", ".join(_counts(outcomes)))
    if outcomes["refused"] + outcomes["failed"] + outcomes["leaking"]:
        return 1
    return 0 if outcomes["de-identified"] else complain_of_nothing()


def _counts(outcomes: Counter[str]) -> Iterator[str]:
    done = outcomes["de-identified"]
    yield f"{done} instance{'' if done == 1 else 's'} de-identified"
    yield from (
        f"{number} {outcome}"
        for outcome, number in sorted(outcomes.items())
        if outcome != "de-identified"
    )
