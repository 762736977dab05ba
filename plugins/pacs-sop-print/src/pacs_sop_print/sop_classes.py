"""SOP classes of Print Management, and what may be done with each (PS3.4 H.3 and H.4)."""

from collections.abc import Mapping
from typing import Final

from pacs_core.dimse import CommandField

FILM_SESSION: Final = "1.2.840.10008.5.1.1.1"
FILM_BOX: Final = "1.2.840.10008.5.1.1.2"
GRAYSCALE_IMAGE_BOX: Final = "1.2.840.10008.5.1.1.4"
COLOR_IMAGE_BOX: Final = "1.2.840.10008.5.1.1.4.1"
PRINTER: Final = "1.2.840.10008.5.1.1.16"
PRINTER_INSTANCE: Final = "1.2.840.10008.5.1.1.17"
PRINTER_CONFIGURATION: Final = "1.2.840.10008.5.1.1.16.376"
PRINTER_CONFIGURATION_INSTANCE: Final = "1.2.840.10008.5.1.1.17.376"
PRINT_JOB: Final = "1.2.840.10008.5.1.1.14"
ANNOTATION_BOX: Final = "1.2.840.10008.5.1.1.15"
PRESENTATION_LUT: Final = "1.2.840.10008.5.1.1.23"

GRAYSCALE_META: Final = "1.2.840.10008.5.1.1.9"
COLOR_META: Final = "1.2.840.10008.5.1.1.18"

META_CLASSES: Final[Mapping[str, frozenset[str]]] = {
    GRAYSCALE_META: frozenset({FILM_SESSION, FILM_BOX, GRAYSCALE_IMAGE_BOX, PRINTER}),
    COLOR_META: frozenset({FILM_SESSION, FILM_BOX, COLOR_IMAGE_BOX, PRINTER}),
}
"""Of which SOP classes a Meta SOP Class consists (PS3.4 H.3.2.2)."""

NAMES: Final[Mapping[str, str]] = {
    GRAYSCALE_META: "Basic Grayscale Print Management Meta",
    COLOR_META: "Basic Color Print Management Meta",
    PRINTER: "Printer",
    PRINT_JOB: "Print Job",
    ANNOTATION_BOX: "Basic Annotation Box",
    PRESENTATION_LUT: "Presentation LUT",
    PRINTER_CONFIGURATION: "Printer Configuration Retrieval",
}
"""Abstract syntaxes that are accepted; Printer also by itself, for those who ask for its status."""

_CREATE, _SET = CommandField.N_CREATE_RQ, CommandField.N_SET_RQ
_DELETE, _ACTION, _GET = CommandField.N_DELETE_RQ, CommandField.N_ACTION_RQ, CommandField.N_GET_RQ

SERVICES: Final[Mapping[str, frozenset[CommandField]]] = {
    FILM_SESSION: frozenset({_CREATE, _SET, _DELETE, _ACTION}),
    FILM_BOX: frozenset({_CREATE, _SET, _DELETE, _ACTION}),
    GRAYSCALE_IMAGE_BOX: frozenset({_SET}),
    COLOR_IMAGE_BOX: frozenset({_SET}),
    ANNOTATION_BOX: frozenset({_SET}),
    PRESENTATION_LUT: frozenset({_CREATE, _DELETE}),
    PRINTER: frozenset({_GET}),
    PRINTER_CONFIGURATION: frozenset({_GET}),
    PRINT_JOB: frozenset({_GET}),
}
"""DIMSE services of each SOP class that a requestor invokes (PS3.4 H.4)."""


def served_by(abstract_syntax: str) -> frozenset[str]:
    """Return the SOP classes that may be used in a presentation context."""
    return META_CLASSES.get(abstract_syntax, frozenset({abstract_syntax}))
