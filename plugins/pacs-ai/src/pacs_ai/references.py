"""References to instances, with where they are had (PS3.3 Table 10-3b)."""

from collections.abc import Iterable, Sequence

from attrs import frozen

from pacs_ai.desk import AiDesk
from pacs_core.contracts import Node
from pacs_core.dataset import Attributes, MutableAttributes, tag_of


@frozen
class Reference:
    """An instance by its UIDs."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    instance_uid: str


def reference_items(node: Node, instances: Sequence[Reference]) -> list[Attributes]:
    """Return an item for each series: C-MOVE from this node, and WADO-RS if it has an address."""
    url = node.find(AiDesk).config.dicomweb_url
    by_series: dict[tuple[str, str], list[Reference]] = {}
    for each in instances:
        by_series.setdefault((each.study_uid, each.series_uid), []).append(each)
    found: list[Attributes] = []
    for (study, series), members in by_series.items():
        referenced = tuple(
            make_item(
                (
                    ("ReferencedSOPClassUID", each.sop_class_uid),
                    ("ReferencedSOPInstanceUID", each.instance_uid),
                )
            )
            for each in members
        )
        item = make_item(
            (
                ("TypeOfInstances", "DICOM"),
                ("StudyInstanceUID", study),
                ("SeriesInstanceUID", series),
            )
        )
        item[tag_of("ReferencedSOPSequence")] = referenced
        retrieve = make_item((("RetrieveAETitle", node.settings.ae_title),))
        item[tag_of("DICOMRetrievalSequence")] = (retrieve,)
        if url:
            path = f"{url}/studies/{study}/series/{series}"
            wado = (make_item((("RetrieveURL", path),)),)
            item[tag_of("WADORSRetrievalSequence")] = wado
        found.append(item)
    return found


def code_item(value: str, scheme: str, meaning: str) -> MutableAttributes:
    """Return a code (PS3.3 Table 8.8-1)."""
    return make_item(
        (("CodeValue", value), ("CodingSchemeDesignator", scheme), ("CodeMeaning", meaning))
    )


def make_item(values: Iterable[tuple[str, str]]) -> MutableAttributes:
    """Return an item of single values by keyword."""
    return {tag_of(keyword): (value,) for keyword, value in values}
