"""``pacs convert``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from attrs import frozen

from pacs_core.cli.errors import UsageError
from pacs_core.cli.folders import has_dicom
from pacs_core.cli.option import Option, OptionGroup
from pacs_core.cli.options import ConfigOption, LogLevelOption, VerboseOption
from pacs_core.dataset import short_name_of, transfer_syntax_uid

if TYPE_CHECKING:
    from pacs_core.cli.conversion_request import ConversionRequest

_MOST_EARLY: Final = 4


@OptionGroup("Lossy compression")
@frozen(kw_only=True)
class LossyOptions:
    """How much may be lost, and under which name."""

    quality: Annotated[float | None, Option(help="From 0 to 100: more is better.")] = None
    ratio: Annotated[
        float | None, Option(help="Native bytes by encoded bytes of each frame, about.")
    ] = None
    lossy: Annotated[bool, Option(help="Compress lossily, as much as the codec likes.")] = False
    new_uid: Annotated[
        bool,
        Option(
            denied="--keep-uid",
            help="Whether what was compressed lossily gets a SOP Instance UID of its own.",
        ),
    ] = True


_NOTHING_LOST = LossyOptions()


def convert(
    source: Path,
    target: Path,
    /,
    *,
    transfer_syntax: Annotated[str, Option("--transfer-syntax", "-t")],
    overwrite: Annotated[bool, Option()] = False,
    verify: Annotated[bool, Option(denied="--no-verify")] = True,
    lossy: LossyOptions = _NOTHING_LOST,
    verbose: VerboseOption = False,
    config: ConfigOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Convert a file, or all files of a folder, to another transfer syntax.

    A file appears under its name when it is complete. What is in the transfer syntax already is
    copied, its dataset byte for byte. In folders, files that are no DICOM files and DICOMDIRs are
    skipped. Codecs run in processes of their own, as many as there are cores or as
    transcoding.limits.workers in the configuration says. From JPEG Baseline to JPEG XL JPEG
    Recompression, and back, nothing is lost: that need not be asked for.

    Parameters
    ----------
    source
        A file, or a folder with all that is below.
    target
        The file to write, or a folder: files have the same names in it, and the same folders.
    transfer_syntax
        Its UID, its name in PS3.6, or a short name: "JPEG 2000 Lossless", rle, explicit.
    overwrite
        Replace files that exist; also the source itself.
    verify
        Decode again what was encoded without loss, by another library where there is one, and
        compare all samples. A file that is not the same is not written; the exit code is then 5.
    """
    try:
        syntax = transfer_syntax_uid(transfer_syntax)
    except ValueError as error:
        raise UsageError(f"--transfer-syntax: {error}") from error
    # Looked at first: no process is started where there is nothing to convert.
    is_needed = has_dicom([source])
    from pacs_core.transcoding import WorkerLimits, start_early

    request = _conversion_request(syntax, lossy, overwrite, verify)
    early = min(WorkerLimits().processes, _MOST_EARLY) if source.is_dir() else 1
    with start_early(early * is_needed) as started:
        # All that these need takes so long to import that the codec processes start meanwhile.
        from pacs_core.cli.assembling import load_assembly
        from pacs_core.cli.conversion_request import describe_loss
        from pacs_core.cli.conversions import convert_all
        from pacs_core.cli.logs import configure_logging
        from pacs_core.cli.running import run_async

        configure_logging(log_level or "warning")
        assembly = load_assembly(config)
        if not (
            request.lossy or assembly.codecs().recompression_sources(request.transfer_syntax_uid)
        ):
            # Refused before the first file, not once for each of them.
            obstacle = describe_loss(request.transfer_syntax_uid)
            if obstacle:
                raise UsageError(obstacle)
        return run_async(convert_all, assembly, source, target, request, started, verbose)


def _conversion_request(
    uid: str, lossy: LossyOptions, overwrite: bool, verify: bool
) -> "ConversionRequest":
    from pacs_core.cli.conversion_request import ConversionRequest
    from pacs_core.contracts import EncodeOptions
    from pacs_core.imaging import is_lossless

    if lossy.quality is not None and not 0 <= lossy.quality <= 100:
        raise UsageError(f"--quality is from 0 to 100, not {lossy.quality:g}")
    if lossy.ratio is not None and not 1 <= lossy.ratio < float("inf"):
        raise UsageError(f"--ratio is 1 or more, not {lossy.ratio:g}")
    asked = lossy.lossy or lossy.quality is not None or lossy.ratio is not None
    if is_lossless(uid) and asked:
        raise UsageError(
            f"{short_name_of(uid)} is lossless: --quality, --ratio and --lossy are for lossy ones"
        )
    options = EncodeOptions(lossy.quality, lossy.ratio)
    return ConversionRequest(uid, options, lossy.new_uid, overwrite, asked, verify)
