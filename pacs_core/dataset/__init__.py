"""Datasets without input or output: scan, parse, encode, and the Part 10 header (PS3.5, PS3.10).

A module is imported when something of it is: a command for a file waits for each, and needs few.
"""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.dataset.byte_order import swap_words as swap_words
    from pacs_core.dataset.character_set_extension import (
        extend_character_sets as extend_character_sets,
    )
    from pacs_core.dataset.charset import (
        SPECIFIC_CHARACTER_SETS as SPECIFIC_CHARACTER_SETS,
        are_character_sets as are_character_sets,
        best_character_set as best_character_set,
        decode_text as decode_text,
        encode_text as encode_text,
    )
    from pacs_core.dataset.data_elements import (
        BulkData as BulkData,
        DataElement as DataElement,
        ElementPath as ElementPath,
        ElementSet as ElementSet,
    )
    from pacs_core.dataset.dictionary import (
        keyword_of as keyword_of,
        load_dictionary as load_dictionary,
        tag_of as tag_of,
        vm_of as vm_of,
        vr_of as vr_of,
        vrs_of as vrs_of,
    )
    from pacs_core.dataset.edit_scan import (
        Changes as Changes,
        Span as Span,
        check_changes as check_changes,
    )
    from pacs_core.dataset.element_encoder import encode_elements as encode_elements
    from pacs_core.dataset.element_headers import element_header as element_header
    from pacs_core.dataset.element_reader import (
        ElementReader as ElementReader,
        ReadLimits as ReadLimits,
        read_elements as read_elements,
    )
    from pacs_core.dataset.elements import (
        encode_attributes as encode_attributes,
        parse_attributes as parse_attributes,
    )
    from pacs_core.dataset.errors import (
        DatasetTooLarge as DatasetTooLarge,
        MalformedDataset as MalformedDataset,
        NeedMoreData as NeedMoreData,
        NotPart10 as NotPart10,
        UnencodableValue as UnencodableValue,
        UnknownAttribute as UnknownAttribute,
    )
    from pacs_core.dataset.header_editor import (
        Edit as Edit,
        edit_header as edit_header,
        element_value as element_value,
        encode_edit as encode_edit,
    )
    from pacs_core.dataset.implementation import (
        IMPLEMENTATION_CLASS_UID as IMPLEMENTATION_CLASS_UID,
        IMPLEMENTATION_VERSION_NAME as IMPLEMENTATION_VERSION_NAME,
    )
    from pacs_core.dataset.inflate import Deflater as Deflater, Inflater as Inflater
    from pacs_core.dataset.layout import BULK_VRS as BULK_VRS
    from pacs_core.dataset.model import (
        Attributes as Attributes,
        MutableAttributes as MutableAttributes,
        PixelDataElement as PixelDataElement,
        Value as Value,
        items as items,
        texts as texts,
    )
    from pacs_core.dataset.model_values import (
        MalformedModel as MalformedModel,
        ModelOptions as ModelOptions,
    )
    from pacs_core.dataset.oddities import Oddities as Oddities
    from pacs_core.dataset.original_attributes import Modification as Modification
    from pacs_core.dataset.part10 import (
        FileMeta as FileMeta,
        begins_with_file_meta as begins_with_file_meta,
        file_meta as file_meta,
        guess_transfer_syntax as guess_transfer_syntax,
        read_file_meta as read_file_meta,
    )
    from pacs_core.dataset.pydicom_datasets import (
        DatasetDecoder as DatasetDecoder,
        DatasetT as DatasetT,
        decode_dataset as decode_dataset,
        decode_file_meta as decode_file_meta,
        encode_dataset as encode_dataset,
        has_encapsulated_pixels as has_encapsulated_pixels,
        is_pydicom_dataset as is_pydicom_dataset,
        transfer_syntax_of as transfer_syntax_of,
    )
    from pacs_core.dataset.reader import (
        ScannedFile as ScannedFile,
        is_part10 as is_part10,
        open_regular as open_regular,
        scan_file as scan_file,
        scan_stream as scan_stream,
    )
    from pacs_core.dataset.recoder import DatasetRecoder as DatasetRecoder
    from pacs_core.dataset.rewriting import (
        DatasetEditor as DatasetEditor,
        change_attributes as change_attributes,
        plan_edit as plan_edit,
    )
    from pacs_core.dataset.scanner import HeaderScanner as HeaderScanner
    from pacs_core.dataset.syntax_names import (
        SHORT_NAMES as SHORT_NAMES,
        are_transfer_syntaxes as are_transfer_syntaxes,
        short_name_of as short_name_of,
        transfer_syntax_uid as transfer_syntax_uid,
        transfer_syntax_uids as transfer_syntax_uids,
    )
    from pacs_core.dataset.transfer_syntax import (
        ALL_TRANSFER_SYNTAXES as ALL_TRANSFER_SYNTAXES,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN as DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN as EXPLICIT_VR_BIG_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT_VR_LITTLE_ENDIAN,
        IMPLICIT_VR_LITTLE_ENDIAN as IMPLICIT_VR_LITTLE_ENDIAN,
        Encoding as Encoding,
        TransferSyntax as TransferSyntax,
        encoding_of as encoding_of,
        name_of as name_of,
    )
    from pacs_core.dataset.uid_names import pydicom_table as pydicom_table, uid_name as uid_name
    from pacs_core.dataset.values import decode_value as decode_value, encode_value as encode_value

import_on_demand(
    __name__,
    """
.byte_order swap_words
.character_set_extension extend_character_sets
.charset SPECIFIC_CHARACTER_SETS are_character_sets best_character_set decode_text encode_text
.data_elements BulkData DataElement ElementPath ElementSet
.dictionary keyword_of load_dictionary tag_of vm_of vr_of vrs_of
.edit_scan Changes Span check_changes
.element_encoder encode_elements
.element_headers element_header
.element_reader ElementReader ReadLimits read_elements
.elements encode_attributes parse_attributes
.errors DatasetTooLarge MalformedDataset NeedMoreData NotPart10 UnencodableValue UnknownAttribute
.header_editor Edit edit_header element_value encode_edit
.implementation IMPLEMENTATION_CLASS_UID IMPLEMENTATION_VERSION_NAME
.inflate Deflater Inflater
.layout BULK_VRS
.model Attributes MutableAttributes PixelDataElement Value items texts
.model_values MalformedModel ModelOptions
.oddities Oddities
.original_attributes Modification
.part10 FileMeta begins_with_file_meta file_meta guess_transfer_syntax read_file_meta
.pydicom_datasets DatasetDecoder DatasetT decode_dataset decode_file_meta encode_dataset
.pydicom_datasets has_encapsulated_pixels is_pydicom_dataset transfer_syntax_of
.reader ScannedFile is_part10 open_regular scan_file scan_stream
.recoder DatasetRecoder
.rewriting DatasetEditor change_attributes plan_edit
.scanner HeaderScanner
.syntax_names SHORT_NAMES are_transfer_syntaxes short_name_of transfer_syntax_uid
.syntax_names transfer_syntax_uids
.transfer_syntax ALL_TRANSFER_SYNTAXES DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN EXPLICIT_VR_BIG_ENDIAN
.transfer_syntax EXPLICIT_VR_LITTLE_ENDIAN IMPLICIT_VR_LITTLE_ENDIAN Encoding TransferSyntax
.transfer_syntax encoding_of name_of
.uid_names pydicom_table uid_name
.values decode_value encode_value
""",
)
