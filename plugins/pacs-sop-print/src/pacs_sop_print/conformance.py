"""Print Management in the conformance statement (PS3.2, PS3.4 Annex H)."""

from typing import Final

DESCRIPTION: Final = (
    "Film sessions last as long as their association. Image Display Formats are STANDARD, ROW, "
    "COL, SLIDE and SUPERSLIDE; there are no custom layouts. Film boxes and film sessions can be "
    "printed. An accepted print job is durable. Images have 1 to 16 bits, or three times 8; "
    "Presentation LUTs are shapes or tables. Annotation Display Format ID is LABEL, BOTTOM or "
    "COMBINED for one line, or a number from 1 to 6 for so many."
)

INITIATES: Final = (
    "By the command pacs print: with a configured or named peer, as SCU of the Basic Grayscale or "
    "Color Print Management Meta SOP Class, and of the Basic Annotation Box SOP Class if there is "
    "annotation. Images have 8 bits, or three times 8 by plane; N-EVENT-REPORT is acknowledged."
)
