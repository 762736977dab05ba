"""Risks in pixels, text that is burnt in and faces (PS3.15 E.3.1, E.3.2), and in sound."""

from collections.abc import Sequence
from typing import Final

from pydicom.dataset import Dataset

from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.options import Option
from pacs_deidentify.profile import Profile
from pacs_deidentify.regions import Region, find_regions, find_rule
from pacs_deidentify.report import Report

_ROOT: Final = "1.2.840.10008.5.1.4.1.1."
_OFTEN_ANNOTATED: Final = tuple(
    _ROOT + number
    for number in ("3", "3.1", "6", "6.1", "6.2", "6.3", "7", "7.1", "7.2", "7.3", "7.4")
)
"""Ultrasound and Secondary Capture."""

_AUDIO: Final = (_ROOT + "9.4.1", _ROOT + "9.4.2")
"""Basic Voice Audio and General Audio Waveform (PS3.3 A.34.2, A.34.10)."""

_PHOTOGRAPHIC: Final = _ROOT + "77.1."
_SLIDES: Final = (_ROOT + "77.1.2", _ROOT + "77.1.3", _ROOT + "77.1.6", _ROOT + "77.1.8")
_VOLUMES: Final = frozenset({"CT", "MR", "PT"})
_HEAD: Final = ("HEAD", "FACE", "SKULL", "BRAIN", "NECK", "SINUS", "ORBIT", "JAW", "TEETH", "WHOLE")


def may_have_text(dataset: Dataset) -> bool:
    """Whether images of this kind often have text burnt in, and nothing says that it has none."""
    if dataset.get("BurnedInAnnotation", "") == "NO" or "Rows" not in dataset:
        return False
    image_type = [str(value) for value in dataset.get("ImageType", None) or ()]
    uid = str(dataset.get("SOPClassUID", ""))
    return (
        dataset.get("BurnedInAnnotation", "") == "YES"
        or uid in _OFTEN_ANNOTATED
        or _is_photographic(uid)
        or "SCREEN SAVE" in image_type
        or image_type[1:2] == ["SECONDARY"]
    )


def may_show_face(dataset: Dataset) -> bool:
    """Whether a face may be recognized in an image, or in what is made of it (Note 4 of E.3.2)."""
    if dataset.get("RecognizableVisualFeatures", "") == "NO" or "Rows" not in dataset:
        return False
    if dataset.get("RecognizableVisualFeatures", "") == "YES":
        return True
    if _is_photographic(str(dataset.get("SOPClassUID", ""))):
        return True
    part = str(dataset.get("BodyPartExamined", "")).upper()
    return str(dataset.get("Modality", "")) in _VOLUMES and (not part or part.startswith(_HEAD))


def check_sound(dataset: Dataset, profile: Profile) -> None:
    """Refuse what is nothing but sound: who speaks is known by the voice, and names are said.

    Raises
    ------
    DeidentificationError
        It is not safe to let it out.
    """
    if str(dataset.get("SOPClassUID", "")) in _AUDIO and not profile.keeps_sound:
        raise DeidentificationError(
            "it is a recording of sound, in which names may be spoken, and its profile has no "
            "keep_sound"
        )


def check_pixels(
    dataset: Dataset, profile: Profile, report: Report, text: Sequence[Region] | None
) -> None:
    """Find out what is to be done about text in pixels, and faces, and put it into a report.

    Parameters
    ----------
    dataset : Dataset
    profile : Profile
    report : Report
        Says whether a face was found.
    text : sequence of Region or None
        Where text was found, by who has looked.

    Raises
    ------
    DeidentificationError
        It is not safe to let it out.
    """
    options = profile.options
    may_show = Option.CLEAN_VISUAL_FEATURES in options and may_show_face(dataset)
    if may_show and report.face is None:
        rule = find_rule(profile.regions, dataset)
        if rule is None or not rule.no_faces:
            raise DeidentificationError(
                "a face may be recognized in it: no rule says that images of its device show "
                "none, nor does Recognizable Visual Features (0028,0302)"
            )
    if Option.CLEAN_PIXEL_DATA in options:
        report.regions = find_regions(profile.regions, dataset)
        if text is not None:
            report.regions = [*(report.regions or ()), *text]
        if report.regions is None and may_have_text(dataset):
            raise DeidentificationError(
                "text may be burnt in, and no rule says where images of its device have it"
            )
    elif dataset.get("BurnedInAnnotation", "") == "YES" and profile.burned_in == "refuse":
        raise DeidentificationError(
            f"text is burnt in (0028,0301), and the profile has no {Option.CLEAN_PIXEL_DATA}"
        )
    elif text and profile.burned_in == "refuse":
        raise DeidentificationError(
            f"text was found in its pixels, and the profile has no {Option.CLEAN_PIXEL_DATA}"
        )
    elif text:
        report.warnings.append("text was found in its pixels: look at it")
    elif may_have_text(dataset):
        report.warnings.append("text may be burnt into the image: look at it")


def _is_photographic(uid: str) -> bool:
    return uid.startswith(_PHOTOGRAPHIC) and uid not in _SLIDES
