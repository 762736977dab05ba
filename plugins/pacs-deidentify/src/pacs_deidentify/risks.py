"""Risks that lie in pixels: text that is burnt in, and faces (PS3.15 E.3.1, E.3.2)."""

from typing import Final

from pydicom.dataset import Dataset

_ROOT: Final = "1.2.840.10008.5.1.4.1.1."
_OFTEN_ANNOTATED: Final = tuple(
    _ROOT + number
    for number in ("3", "3.1", "6", "6.1", "6.2", "6.3", "7", "7.1", "7.2", "7.3", "7.4")
)
"""Ultrasound and Secondary Capture."""

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


def _is_photographic(uid: str) -> bool:
    return uid.startswith(_PHOTOGRAPHIC) and uid not in _SLIDES
