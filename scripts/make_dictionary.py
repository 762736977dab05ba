"""Writes pacs_core/dataset/dictionary.tsv, the registry of PS3.6, from pydicom's tables.

Run ``uv run python scripts/make_dictionary.py`` after an update of pydicom; a test compares.
"""

from pathlib import Path

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

TARGET = Path(__file__).parents[1] / "pacs_core" / "dataset" / "dictionary.tsv"


def table() -> str:
    """Return the registry: tag, VRs, VM and keyword; an x in a tag stands for any digit."""
    rows = [(f"{tag:08X}", entry) for tag, entry in DicomDictionary.items()]
    rows += RepeatersDictionary.items()
    return "".join(
        f"{tag.upper().replace('X', 'x')}\t{vr}\t{vm}\t{keyword}\n"
        for tag, (vr, vm, _name, _retired, keyword) in sorted(rows)
    )


if __name__ == "__main__":
    TARGET.write_text(table(), encoding="ascii")
