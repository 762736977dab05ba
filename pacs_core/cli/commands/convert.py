"""``pacs convert``."""

from pathlib import Path
from typing import Annotated

from attrs import frozen
from cyclopts import Parameter

from pacs_core.cli.conversion_request import ConversionRequest, describe_loss
from pacs_core.cli.errors import UsageError
from pacs_core.cli.options import ConfigOption, LogLevelOption, VerboseOption
from pacs_core.cli.running import run_async
from pacs_core.contracts import EncodeOptions
from pacs_core.dataset import short_name_of, transfer_syntax_uid
from pacs_core.imaging import is_lossless
from pacs_core.transcoding import WorkerLimits, start_early

_EARLY = min(WorkerLimits().processes, 4)


@Parameter(name="*", group="Lossy compression")
@frozen(kw_only=True)
class LossyOptions:
    """How much may be lost, and under which name."""

    quality: Annotated[float | None, Parameter(help="From 0 to 100: more is better.")] = None
    ratio: Annotated[
        float | None, Parameter(help="Native bytes by encoded bytes of each frame, about.")
    ] = None
    lossy: Annotated[
        bool, Parameter(negative=(), help="Compress lossily, as much as the codec likes.")
    ] = False
    new_uid: Annotated[
        bool,
        Parameter(
            negative="--keep-uid",
            help="Whether what was compressed lossily gets a SOP Instance UID of its own.",
        ),
    ] = True


_NOTHING_LOST = LossyOptions()


def convert(
    source: Path,
    target: Path,
    /,
    *,
    transfer_syntax: Annotated[str, Parameter(name=["--transfer-syntax", "-t"])],
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    verify: Annotated[bool, Parameter(negative="--no-verify")] = True,
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
    request = _conversion_request(transfer_syntax, lossy, overwrite, verify)
    with start_early(_EARLY if source.is_dir() else 1) as started:
        # All that these need takes so long to import that the codec processes start meanwhile.
        from pacs_core.cli.assembling import load_assembly
        from pacs_core.cli.conversions import convert_all
        from pacs_core.cli.logs import configure_logging

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
    name: str, lossy: LossyOptions, overwrite: bool, verify: bool
) -> ConversionRequest:
    try:
        uid = transfer_syntax_uid(name)
    except ValueError as error:
        raise UsageError(f"--transfer-syntax: {error}") from error
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
