"""Print Management in the conformance statement (PS3.2, PS3.4 Annex H)."""

from typing import Final

DESCRIPTION: Final = (
    "Film sessions last as long as their association. Image Display Formats are STANDARD, ROW, "
    "COL, SLIDE and SUPERSLIDE; there are no custom layouts. Film boxes and film sessions can be "
    "printed. An accepted print job is durable. Images have 1 to 16 bits, or three times 8; "
    "Presentation LUTs are shapes or tables. Annotation Display Format ID is LABEL, BOTTOM or "
    "COMBINED for one line, or a number from 1 to 6 for so many."
)
