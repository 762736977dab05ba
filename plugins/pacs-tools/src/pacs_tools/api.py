"""Files for plugins that have commands for files of their own: read, written with changes.

Everything else in this package is private to it.
"""

from pacs_tools.changing import change_files, exit_code, write_whole
from pacs_tools.editing import deflate, replace_element
from pacs_tools.files import DicomFile, explain, open_dicom
from pacs_tools.paths import AttributePath, parse_path
from pacs_tools.rewriting import encode_element, iterate_fragments, rewrite_dataset

__all__ = [
    "AttributePath",
    "DicomFile",
    "change_files",
    "deflate",
    "encode_element",
    "exit_code",
    "explain",
    "iterate_fragments",
    "open_dicom",
    "parse_path",
    "replace_element",
    "rewrite_dataset",
    "write_whole",
]
