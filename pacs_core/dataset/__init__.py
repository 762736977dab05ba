"""Datasets without input or output: scan, parse, encode, and the Part 10 header (PS3.5, PS3.10).

A module is imported when something of it is: a command for a file waits for each, and needs few.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pacs_core.dataset.byte_order import swap_words
    from pacs_core.dataset.character_set_extension import extend_character_sets
    from pacs_core.dataset.charset import (
        SPECIFIC_CHARACTER_SETS,
        are_character_sets,
        best_character_set,
        decode_text,
        encode_text,
    )
    from pacs_core.dataset.data_elements import BulkData, DataElement, ElementPath, ElementSet
    from pacs_core.dataset.dictionary import (
        keyword_of,
        load_dictionary,
        tag_of,
        vm_of,
        vr_of,
        vrs_of,
    )
    from pacs_core.dataset.edit_scan import Changes, Span, check_changes
    from pacs_core.dataset.element_encoder import encode_elements
    from pacs_core.dataset.element_headers import element_header
    from pacs_core.dataset.element_reader import ElementReader, ReadLimits, read_elements
    from pacs_core.dataset.elements import encode_attributes, parse_attributes
    from pacs_core.dataset.errors import (
        DatasetTooLarge,
        MalformedDataset,
        NeedMoreData,
        NotPart10,
        UnencodableValue,
        UnknownAttribute,
    )
    from pacs_core.dataset.header_editor import Edit, edit_header, element_value, encode_edit
    from pacs_core.dataset.implementation import (
        IMPLEMENTATION_CLASS_UID,
        IMPLEMENTATION_VERSION_NAME,
    )
    from pacs_core.dataset.inflate import Deflater, Inflater
    from pacs_core.dataset.layout import BULK_VRS
    from pacs_core.dataset.model import (
        Attributes,
        MutableAttributes,
        PixelDataElement,
        Value,
        items,
        texts,
    )
    from pacs_core.dataset.model_values import MalformedModel, ModelOptions
    from pacs_core.dataset.oddities import Oddities
    from pacs_core.dataset.original_attributes import Modification
    from pacs_core.dataset.part10 import (
        FileMeta,
        begins_with_file_meta,
        file_meta,
        guess_transfer_syntax,
        read_file_meta,
    )
    from pacs_core.dataset.pydicom_datasets import (
        DatasetDecoder,
        DatasetT,
        decode_dataset,
        decode_file_meta,
        encode_dataset,
        has_encapsulated_pixels,
        is_pydicom_dataset,
        transfer_syntax_of,
    )
    from pacs_core.dataset.reader import (
        ScannedFile,
        is_part10,
        open_regular,
        scan_file,
        scan_stream,
    )
    from pacs_core.dataset.recoder import DatasetRecoder
    from pacs_core.dataset.rewriting import DatasetEditor, change_attributes, plan_edit
    from pacs_core.dataset.scanner import HeaderScanner
    from pacs_core.dataset.syntax_names import (
        SHORT_NAMES,
        are_transfer_syntaxes,
        short_name_of,
        transfer_syntax_uid,
        transfer_syntax_uids,
    )
    from pacs_core.dataset.transfer_syntax import (
        ALL_TRANSFER_SYNTAXES,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        IMPLICIT_VR_LITTLE_ENDIAN,
        Encoding,
        TransferSyntax,
        encoding_of,
        name_of,
    )
    from pacs_core.dataset.values import decode_value, encode_value

__all__ = [
    "ALL_TRANSFER_SYNTAXES",
    "BULK_VRS",
    "DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN",
    "EXPLICIT_VR_BIG_ENDIAN",
    "EXPLICIT_VR_LITTLE_ENDIAN",
    "IMPLEMENTATION_CLASS_UID",
    "IMPLEMENTATION_VERSION_NAME",
    "IMPLICIT_VR_LITTLE_ENDIAN",
    "SHORT_NAMES",
    "SPECIFIC_CHARACTER_SETS",
    "Attributes",
    "BulkData",
    "Changes",
    "DataElement",
    "DatasetDecoder",
    "DatasetEditor",
    "DatasetRecoder",
    "DatasetT",
    "DatasetTooLarge",
    "Deflater",
    "Edit",
    "ElementPath",
    "ElementReader",
    "ElementSet",
    "Encoding",
    "FileMeta",
    "HeaderScanner",
    "Inflater",
    "MalformedDataset",
    "MalformedModel",
    "ModelOptions",
    "Modification",
    "MutableAttributes",
    "NeedMoreData",
    "NotPart10",
    "Oddities",
    "PixelDataElement",
    "ReadLimits",
    "ScannedFile",
    "Span",
    "TransferSyntax",
    "UnencodableValue",
    "UnknownAttribute",
    "Value",
    "are_character_sets",
    "are_transfer_syntaxes",
    "begins_with_file_meta",
    "best_character_set",
    "change_attributes",
    "check_changes",
    "decode_dataset",
    "decode_file_meta",
    "decode_text",
    "decode_value",
    "edit_header",
    "element_header",
    "element_value",
    "encode_attributes",
    "encode_dataset",
    "encode_edit",
    "encode_elements",
    "encode_text",
    "encode_value",
    "encoding_of",
    "extend_character_sets",
    "file_meta",
    "guess_transfer_syntax",
    "has_encapsulated_pixels",
    "is_part10",
    "is_pydicom_dataset",
    "items",
    "keyword_of",
    "load_dictionary",
    "name_of",
    "open_regular",
    "parse_attributes",
    "plan_edit",
    "read_elements",
    "read_file_meta",
    "scan_file",
    "scan_stream",
    "short_name_of",
    "swap_words",
    "tag_of",
    "texts",
    "transfer_syntax_of",
    "transfer_syntax_uid",
    "transfer_syntax_uids",
    "vm_of",
    "vr_of",
    "vrs_of",
]

_ROWS: Final = """
byte_order swap_words
character_set_extension extend_character_sets
charset SPECIFIC_CHARACTER_SETS are_character_sets best_character_set decode_text encode_text
data_elements BulkData DataElement ElementPath ElementSet
dictionary keyword_of load_dictionary tag_of vm_of vr_of vrs_of
edit_scan Changes Span check_changes
element_encoder encode_elements
element_headers element_header
element_reader ElementReader ReadLimits read_elements
elements encode_attributes parse_attributes
errors DatasetTooLarge MalformedDataset NeedMoreData NotPart10 UnencodableValue UnknownAttribute
header_editor Edit edit_header element_value encode_edit
implementation IMPLEMENTATION_CLASS_UID IMPLEMENTATION_VERSION_NAME
inflate Deflater Inflater
layout BULK_VRS
model Attributes MutableAttributes PixelDataElement Value items texts
model_values MalformedModel ModelOptions
oddities Oddities
original_attributes Modification
part10 FileMeta begins_with_file_meta file_meta guess_transfer_syntax read_file_meta
pydicom_datasets DatasetDecoder DatasetT decode_dataset decode_file_meta encode_dataset
pydicom_datasets has_encapsulated_pixels is_pydicom_dataset transfer_syntax_of
reader ScannedFile is_part10 open_regular scan_file scan_stream
recoder DatasetRecoder
rewriting DatasetEditor change_attributes plan_edit
scanner HeaderScanner
syntax_names SHORT_NAMES are_transfer_syntaxes short_name_of transfer_syntax_uid
syntax_names transfer_syntax_uids
transfer_syntax ALL_TRANSFER_SYNTAXES DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN EXPLICIT_VR_BIG_ENDIAN
transfer_syntax EXPLICIT_VR_LITTLE_ENDIAN IMPLICIT_VR_LITTLE_ENDIAN Encoding TransferSyntax
transfer_syntax encoding_of name_of
values decode_value encode_value
"""
_MODULES: Final = {
    name: module for module, *names in map(str.split, _ROWS.strip().splitlines()) for name in names
}
"""The module that has a name."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found
