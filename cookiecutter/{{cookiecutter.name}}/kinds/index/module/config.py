"""The table of the plugin."""

from attrs import Attribute, field, frozen
from pacs_core.dataset import UnknownAttribute, tag_of

Words = tuple[str, ...]


def _are_keywords(config: object, attribute: "Attribute[Words]", value: Words) -> None:
    try:
        for keyword in value:
            tag_of(keyword)
    except UnknownAttribute as error:
        raise ValueError(str(error)) from error


@frozen
class Config:
    """What the index knows.

    Attributes
    ----------
    keep : tuple of str
        Keywords of attributes of images (PS3.6) to find and return, besides the usual ones.
    """

    keep: Words = field(default=(), validator=_are_keywords)
