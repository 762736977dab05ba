"""``pacs json`` and ``pacs xml``: datasets as models (PS3.18 Annex F, PS3.19 A.1), and back."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, TextIO

from attrs import define, evolve, frozen

from pacs_core.api.file_commands import (
    NOT_LOSSLESS,
    CommandError,
    Draft,
    JobsOption,
    Option,
    OptionGroup,
    UsageError,
    complain,
    say,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    BulkData,
    DataElement,
    ElementPath,
    ElementSet,
    MalformedModel,
    ModelOptions,
    ReadLimits,
    UnencodableValue,
    encode_elements,
    file_meta,
    keyword_of,
    swap_words,
)
from pacs_tools.changing import check_target
from pacs_tools.files import LIMITS, DicomFile, open_dicom, open_named
from pacs_tools.folders import convert_folder

_LONG: Final = 1024
"""Bytes of a value from which on it becomes a file of its own, if there is a folder for them."""

_SOP_CLASS, _SOP_INSTANCE = 0x0008_0016, 0x0008_0018
_PIXELS: Final = frozenset({0x7FE0_0001, 0x7FE0_0002, 0x7FE0_0008, 0x7FE0_0009, 0x7FE0_0010})
"""Pixel Data of each kind, and their extended offset tables (PS3.3 C.7.6.3)."""

_WHOLE: Final = 1 << 40
_TOGETHER: Final = 256

Writer = Callable[[ElementSet, ModelOptions | None], Iterator[str]]
Reader = Callable[[bytes, "_BulkFolder"], ElementSet]
FlagOption = Annotated[bool, Option()]


@OptionGroup()
@frozen(kw_only=True)
class Conversion:
    """How a file becomes a model, and a model a file.

    Attributes
    ----------
    bulk : Path, optional
        Folder for values longer than 1 KiB, to which the model refers; when a model is read, the
        only folder in which what it refers to is looked for.
    without_pixel_data : bool
        Leave out Pixel Data; compressed ones cannot be in a model.
    overwrite : bool
        Replace the output if there is one.
    """

    bulk: Path | None = None
    without_pixel_data: FlagOption = False
    overwrite: FlagOption = False


AS_USUAL: Final = Conversion()


def json(
    source: Path,
    output: Path | None = None,
    /,
    *,
    conversion: Conversion = AS_USUAL,
    jobs: JobsOption = 0,
) -> int:
    """Convert DICOM files to the DICOM JSON Model, or back.

    What the input is decides. The model has no File Meta Information (PS3.18 F.2), and no place for
    compressed Pixel Data: convert such files first, or leave them out. The exit code is 5 else.

    Parameters
    ----------
    source
        A DICOM file, or a model; or a folder with such, and all below it.
    output
        File to write; standard output if none is named, for a model. For a folder the folder to
        write to, where models of ct.dcm are ct.dcm.json, and files of those ct.dcm again.
    """
    return _convert(source, output, conversion, _json_model(), jobs)


def xml(
    source: Path,
    output: Path | None = None,
    /,
    *,
    conversion: Conversion = AS_USUAL,
    jobs: JobsOption = 0,
) -> int:
    """Convert DICOM files to the Native DICOM Model in XML, or back.

    What the input is decides; see ``pacs json``.

    Parameters
    ----------
    source
        A DICOM file, or a model; or a folder with such, and all below it.
    output
        File to write; standard output if none is named, for a model. For a folder the folder to
        write to.
    """
    return _convert(source, output, conversion, _xml_model(), jobs)


@frozen
class _Model:
    suffix: str
    beginnings: bytes
    write: Writer
    read: Reader

    def is_in(self, path: Path) -> bool:
        """Tell whether a file begins as such a model does."""
        with path.open("rb") as file:
            beginning = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        return bool(beginning) and beginning in self.beginnings


# Either takes as long to import as a file takes to convert.


def _json_model() -> _Model:
    from pacs_core.dataset.json_model import read_json, write_json

    def read(text: bytes, folder: "_BulkFolder") -> ElementSet:
        found = read_json(text, fetch=folder.fetch, max_length=_WHOLE)
        if len(found) != 1:
            raise MalformedModel(f"it has {len(found)} datasets, of which a file can hold one")
        return found[0]

    return _Model(".json", b"{[", write_json, read)


def _xml_model() -> _Model:
    from pacs_core.dataset.xml_model import read_xml, write_xml

    def read(text: bytes, folder: "_BulkFolder") -> ElementSet:
        return read_xml(text, fetch=folder.fetch, max_length=_WHOLE)

    return _Model(".xml", b"<", write_xml, read)


class _NotLosslessError(CommandError):
    exit_code = NOT_LOSSLESS


def _convert(
    source: Path, output: Path | None, conversion: Conversion, model: _Model, jobs: int
) -> int:
    if source.is_dir():
        if output is None:
            raise UsageError("name the folder to write to")
        return _convert_folder(source, output, conversion, model, jobs)
    if output is not None and output.exists() and not conversion.overwrite:
        raise UsageError(f"{output} exists: remove it, or say --overwrite")
    if not model.is_in(source):
        with open_named(source, _limits(conversion)) as file:
            _to_model(file, output, conversion, model.write)
        return 0
    if output is None:
        raise UsageError("name the DICOM file to write after the model")
    _from_model(source, output, conversion, model.read)
    say(f"{output} written")
    return 0


def _convert_folder(
    source: Path, output: Path, conversion: Conversion, model: _Model, jobs: int
) -> int:
    def convert_one(path: Path, folder: Path) -> bool:
        below = path.relative_to(source)
        is_model = model.is_in(path)
        made = below.name.removesuffix(model.suffix) if is_model else below.name
        if is_model and made == below.name:
            made += ".dcm"
        target = folder / (made if is_model else made + model.suffix)
        check_target(target, replaces=conversion.overwrite)
        # Values are files named by their place: those of each file need a folder.
        within = evolve(
            conversion, bulk=conversion.bulk and conversion.bulk / below.with_name(made)
        )
        if is_model:
            _from_model(path, target, within, model.read)
            return True
        with open_dicom(path, _limits(within)) as file:
            if file.damage and not file.has_meta:
                return False
            _to_model(file, target, within, model.write)
        return True

    return convert_folder(source, output, convert_one, jobs)


def _limits(conversion: Conversion) -> ReadLimits:
    return evolve(LIMITS, bulk=_LONG if conversion.bulk else _WHOLE, total=_WHOLE)


def _from_model(source: Path, output: Path, conversion: Conversion, read: Reader) -> None:
    try:
        _to_dicom(read(source.read_bytes(), _BulkFolder(conversion.bulk)), output)
    except (MalformedModel, UnencodableValue, ValueError) as error:
        raise CommandError(f"{source}: {error}") from error


def _to_model(file: DicomFile, output: Path | None, conversion: Conversion, write: Writer) -> None:
    with ExitStack() as stack:
        if file.damage:
            raise CommandError(f"{file.path}: damaged: {file.damage}")
        elements = file.elements
        if conversion.without_pixel_data:
            kept = {tag: each for tag, each in elements.elements.items() if tag not in _PIXELS}
            elements = evolve(elements, elements=kept)
        if conversion.bulk is None:
            elements = _inline(file, elements)
        options = ModelOptions(
            _BulkFolder(conversion.bulk, file).refer, lambda text: complain(f"{file.path}: {text}")
        )
        if output is None:
            _write(write(elements, options), sys.stdout)
            return
        draft = Draft(output.parent)
        stack.callback(draft.discard)
        for block in _blocks(write(elements, options)):
            draft.write(block)
        draft.finish(name=output.name)


def _write(pieces: Iterator[str], out: TextIO) -> None:
    for block in _blocks(pieces):
        out.buffer.write(block)
    out.buffer.write(b"\n")


def _blocks(pieces: Iterator[str]) -> Iterator[bytes]:
    """Iterate over what pieces are, some hundred at a time: one for each element is too little."""
    while some := "".join(islice(pieces, _TOGETHER)):
        yield some.encode("utf-8", "replace")


def _inline(file: DicomFile, within: ElementSet) -> ElementSet:
    """Return the elements with native Pixel Data read, which the reader leaves where they are.

    Those of icons are in items.
    """
    elements = dict(within.elements)
    for tag, element in elements.items():
        value = element.value
        if isinstance(value, BulkData) and value.length is not None:
            stored = b"".join(file.read_bulk(value.offset, value.length))
            elements[tag] = evolve(element, value=bytes(swap_words(stored, value.word_size)))
        elif element.items:
            items = tuple(_inline(file, item) for item in element.items)
            elements[tag] = evolve(element, value=items)
    return evolve(within, elements=elements)


def _to_dicom(elements: ElementSet, output: Path) -> None:
    # Others put File Meta Information into models, which is of another file (PS3.18 F.2).
    kept = {tag: each for tag, each in elements.elements.items() if tag >> 16 not in {0, 2}}
    elements = evolve(elements, elements=kept)
    sop_class, sop_instance = elements.texts(_SOP_CLASS), elements.texts(_SOP_INSTANCE)
    if not sop_class or not sop_instance:
        raise MalformedModel("it has no SOP Class UID, or no SOP Instance UID")
    draft = Draft(output.parent)
    try:
        draft.write(file_meta(sop_class[0], sop_instance[0], EXPLICIT_VR_LITTLE_ENDIAN))
        for piece in encode_elements(elements, EXPLICIT_VR_LITTLE_ENDIAN):
            draft.write(piece)
        draft.finish(name=output.name)
    finally:
        draft.discard()


@define
class _BulkFolder:
    """The folder with the values that a model refers to, each a file named by its place."""

    path: Path | None
    file: DicomFile | None = None

    def refer(self, path: ElementPath, element: DataElement) -> str | None:
        """Write a value to a file, and return its name."""
        value = element.value
        if self.file is None or not isinstance(value, BulkData):
            return None
        if value.length is None:
            raise _NotLosslessError(
                f"{self.file.path}: {keyword_of(element.tag)} is compressed: `pacs convert -t "
                "explicit` makes a file of which a model can be made; or say --without-pixel-data"
            )
        if self.path is None:
            return None
        # Odd places in a path are tags, even ones numbers of items.
        parts = [f"{part:08X}" if not n % 2 else str(part) for n, part in enumerate(path)]
        name = "-".join(parts) + ".bin"
        draft = Draft(self.path)
        try:
            for block in self.file.read_bulk(value.offset, value.length):
                draft.write(swap_words(block, value.word_size))
            draft.finish(name=name)
        finally:
            draft.discard()
        return name

    def fetch(self, path: ElementPath, vr: str, reference: str) -> bytes | None:
        """Read the value that a model refers to, if it lies in the folder."""
        if self.path is None:
            raise MalformedModel(f"it refers to {reference[:80]!r}: name its folder with --bulk")
        if not reference or Path(reference).name != reference:
            raise MalformedModel(
                f"it refers to {reference[:80]!r}, which is no file of {self.path}"
            )
        try:
            return (self.path / reference).read_bytes()
        except OSError as error:
            raise MalformedModel(f"{self.path / reference}: {error.strerror}") from error
