"""Notices: messages that are made of a template and the attributes of a study.

A template has one segment a line. ``{Keyword}`` is an attribute of the study, with HL7's escapes, a
name of a person as XPN; other places are :data:`OWN`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from string import Formatter
from typing import Final

from pacs_core.dataset import Attributes, UnknownAttribute, tag_of, texts, vr_of
from pacs_hl7.acknowledging import escape

OMI: Final = """\
MSH|^~\\&|{Application}||||{Moment}||OMI^O23^OMI_O23|{ControlID}|P|2.5.1||||||UNICODE UTF-8
PID|1||{PatientID}^^^{AssigningAuthority}||{PatientName}||{PatientBirthDate}|{PatientSex}
ORC|SC||||CM
OBR|1|||^{StudyDescription}||||||||||||||{AccessionNumber}|||||||||||||||||{StudyDate}{StudyTime}
IPC|{AccessionNumber}||{StudyInstanceUID}||{ModalitiesInStudy}
"""
"""That the images of an order are there: its status is CM, completed (HL7 table 0038)."""

OWN: Final = frozenset({"Application", "Moment", "ControlID", "AssigningAuthority"})
"""Places that are no attributes."""

_KEYWORDS: Final = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription",
    "AccessionNumber", "ReferringPhysicianName", "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
)  # fmt: skip
STUDY_TAGS: Final = frozenset(map(tag_of, _KEYWORDS))


def read_template(path: Path | None) -> str:
    """Return a template; without a path, :data:`OMI`."""
    return OMI if path is None else path.read_text(encoding="utf-8")


def template_problems(path: Path | None) -> Iterator[str]:
    """Iterate over what is wrong with a template."""
    try:
        template = read_template(path)
        names = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except (OSError, ValueError) as error:
        yield f"template: {error}"
        return
    if not template.startswith("MSH|"):
        yield f"template: {path} does not begin with MSH|"
    for name in sorted(names - OWN):
        try:
            known = tag_of(name) in STUDY_TAGS
        except UnknownAttribute:
            known = False
        if not known:
            yield f"template: {{{name}}} is none of {', '.join(sorted({*_KEYWORDS, *OWN}))}"


def fill(
    template: str,
    study: Attributes,
    domains: Mapping[str, str],
    control_id: str,
    application: str,
) -> bytes:
    """Return a message, in UTF-8.

    Parameters
    ----------
    template : str
    study : Attributes
        Of :data:`STUDY_TAGS`.
    domains : mapping of str to str
        Issuer by assigning authority: the first authority of an issuer is written.
    control_id, application : str
        MSH-10 and MSH-3.
    """
    issuer = "".join(texts(study, tag_of("IssuerOfPatientID"))[:1])
    values = {
        "Application": escape(application),
        "Moment": datetime.now().astimezone().strftime("%Y%m%d%H%M%S%z"),
        "ControlID": control_id,
        "AssigningAuthority": escape(
            next((name for name, known in domains.items() if known == issuer), issuer)
        ),
    }
    values |= {keyword: _value(keyword, texts(study, tag_of(keyword))) for keyword in _KEYWORDS}
    return "".join(f"{line}\r" for line in template.format(**values).splitlines()).encode()


def _value(keyword: str, values: tuple[str, ...]) -> str:
    vr = vr_of(tag_of(keyword))
    if vr == "PN":
        # PN and XPN have prefix and suffix the other way round.
        family, given, middle, prefix, suffix, *_ = [
            *"".join(values[:1]).split("=")[0].split("^"), *[""] * 5,
        ]  # fmt: skip
        return "^".join(map(escape, (family, given, middle, suffix, prefix))).rstrip("^")
    if vr == "TM":
        return "".join(values[:1]).replace(":", "")[:6]
    return "~".join(map(escape, values))
