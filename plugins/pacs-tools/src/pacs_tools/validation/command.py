"""``pacs validate``: DICOM files against the standard."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pacs_core.api.file_commands import (
    JobsOption,
    JsonOption,
    Option,
    complain,
    complain_of_nothing,
    dump_json,
    escape,
    map_files,
    say,
    walk,
)
from pacs_core.dataset import NotPart10, tag_of
from pacs_tools.files import DicomFile, explain, open_dicom
from pacs_tools.styles import Style, style_for
from pacs_tools.validation.directory import DIRECTORY, check_directory
from pacs_tools.validation.findings import ERROR, WARNING, Finding, Findings
from pacs_tools.validation.modules import check_iod
from pacs_tools.validation.pixels import check_pixels
from pacs_tools.validation.tables import find_iod
from pacs_tools.validation.values import check_values

_SOP_CLASS: Final = tag_of("SOPClassUID")
_SOP_INSTANCE: Final = tag_of("SOPInstanceUID")
_STYLES: Final = {ERROR: "old", WARNING: "name"}

Rule = Literal[
    "charset", "codestream", "meta", "module", "pixels", "structure", "type", "uid", "value",
    "vm", "vr",
]  # fmt: skip


def validate(
    paths: Annotated[list[Path], Option()],
    /,
    *,
    errors_only: Annotated[bool, Option()] = False,
    strict: Annotated[bool, Option()] = False,
    ignore: Annotated[list[Rule] | None, Option("--ignore", "-i")] = None,
    json: JsonOption = False,
    jobs: JobsOption = 0,
) -> int:
    """Hold DICOM files against the standard: IOD, values, Pixel Data, File Meta Information.

    An error is what the standard forbids; a warning is what it allows, but others may stumble
    over. The exit code is 1 if there is an error, or a file cannot be read; 3 if no file is found.

    Parameters
    ----------
    paths
        Files, or folders with all below them.
    errors_only
        Leave out warnings.
    strict
        Exit with 1 if there are warnings only, too.
    ignore
        A kind of finding to leave out; may be given several times.
    json
        Print one JSON object for each file, with its findings.
    """
    style, left_out = style_for(), frozenset(ignore or ())

    def validate_file(found: tuple[Path, bool]) -> tuple[bool, bool]:
        """Return whether there is such a file, and whether there is an error."""
        path, named = found
        try:
            with open_dicom(path) as file:
                # Of what is found in a folder, what is no DICOM file may begin like a dataset.
                if file.damage and not (named or file.has_meta):
                    return False, False
                findings = examine(file)
        except (NotPart10, OSError) as error:
            if problem := explain(path, named, error):
                complain(f"{path}: {problem}")
            return False, bool(problem)
        shown = {
            each: count
            for each, count in findings.found.items()
            if each.rule not in left_out and not (errors_only and each.level == WARNING)
        }
        if json:
            print(dump_json(_record(path, shown, findings.left_out)))
        else:
            _print(path, shown, findings.left_out, style)
        return True, any(strict or each.level == ERROR for each in shown)

    results = [*map_files(validate_file, walk(paths), jobs, label="validating", prints=True)]
    if any(failed for _, failed in results):
        return 1
    return 0 if any(seen for seen, _ in results) else complain_of_nothing()


def examine(file: DicomFile) -> Findings:
    """Return what of a file is not as the standard says."""
    findings = Findings()
    for rule, text in _meta_faults(file):
        findings.add(ERROR, rule, (), text, "PS3.10 §7.1")
    if file.damage:
        findings.add(ERROR, "structure", (), f"damaged: {file.damage}", "PS3.5 §7")
    uid = "".join(file.elements.texts(_SOP_CLASS)[:1])
    iod = find_iod(uid)
    if iod is not None:
        check_iod(file.elements, iod, findings)
    elif uid:
        text = f"{uid[:64]!r}: its IOD is not known here, so modules are not looked at"
        findings.add(WARNING, "module", (_SOP_CLASS,), text)
    elif file.meta.sop_class_uid == DIRECTORY:
        check_directory(file, findings)
    else:
        findings.add(ERROR, "module", (_SOP_CLASS,), "is absent: there is no telling the IOD")
    check_values(file.elements, findings)
    check_pixels(file, findings)
    return findings


def _meta_faults(file: DicomFile) -> Iterator[tuple[str, str]]:
    if not file.has_meta:
        yield "meta", "there is no File Meta Information"
        return
    for name, found, tag in (
        ("Media Storage SOP Class UID", file.meta.sop_class_uid, _SOP_CLASS),
        ("Media Storage SOP Instance UID", file.meta.sop_instance_uid, _SOP_INSTANCE),
    ):
        said = "".join(file.elements.texts(tag)[:1])
        if not found:
            yield "meta", f"{name} is absent"
        elif said and said != found:
            yield "meta", f"{name} is {found[:64]}, but that of the dataset {said[:64]}"
    if not file.meta.implementation_class_uid:
        yield "meta", "Implementation Class UID is absent"


def _print(path: Path, shown: dict[Finding, int], left_out: int, style: Style) -> None:
    errors = sum(each.level == ERROR for each in shown)
    total = f"{errors} errors, {len(shown) - errors} warnings"
    print(style("head", f"{escape(str(path))}: {total}"))
    for each, count in shown.items():
        more = f" (and {count - 1} times more)" if count > 1 else ""
        place = f"{each.place}: " if each.place else ""
        reference = style("dim", f" [{each.reference}]") if each.reference else ""
        level = style(_STYLES[each.level], f"{each.level:<7}")
        print(f"  {level} {escape(f'{place}{each.text}{more}')}{reference}")
    if left_out:
        say(f"  {left_out} findings more are not shown")


def _record(path: Path, shown: dict[Finding, int], left_out: int) -> dict[str, object]:
    findings = [
        {
            "level": each.level, "rule": each.rule, "attribute": each.place, "text": each.text,
            "reference": each.reference, "count": count,
        }
        for each, count in shown.items()
    ]  # fmt: skip
    return {"path": str(path), "findings": findings, "left_out": left_out}
