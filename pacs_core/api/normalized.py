"""Answers to DIMSE-N requests: refusals, and what an N-GET asks for (PS3.7 §10.1)."""

from collections.abc import Sequence
from typing import Final

from pacs_core.api.attribute_lists import MOST_ITEMS, count_items, mistyped
from pacs_core.contracts import Operation, Response
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    UnencodableValue,
    best_character_set,
    encode_attributes,
    keyword_of,
    tag_of,
)
from pacs_core.dimse import Status

__all__ = [
    "RefusedRequestError",
    "answer_get",
    "invalid_values",
    "refuse_mistyped",
    "refuse_oversize",
]

_CHARACTER_SET: Final = tag_of("SpecificCharacterSet")


class RefusedRequestError(Exception):
    """A request about an instance is refused, by whichever door it came.

    Attributes
    ----------
    status : int
        PS3.7 Annex C, or of the SOP class.
    comment : str
    tags : tuple of int
        Which attributes are missing, or wrong; each once.
    error_id : int or None
        Error ID (0000,0903), where the SOP class has one.
    """

    def __init__(
        self, status: int, comment: str, tags: Sequence[int] = (), error_id: int | None = None
    ) -> None:
        super().__init__(comment)
        self.status, self.comment = status, comment
        self.tags, self.error_id = tuple(dict.fromkeys(tags)), error_id

    @property
    def explanation(self) -> str:
        """The comment, after the attributes that it is about."""
        names = ", ".join(keyword_of(tag) or f"{tag:08X}" for tag in self.tags)
        return f"{names}: {self.comment}" if names else self.comment

    def response(self) -> Response:
        """Return the response that says why the request is refused.

        Wrong values have Offending Element (PS3.7 C.4.2), all else an Attribute Identifier List.
        """
        is_of_values = self.status == Status.INVALID_ATTRIBUTE_VALUE
        return Response(
            self.status,
            comment=self.explanation,
            offending_element=self.tags[:1] if is_of_values else (),
            attribute_identifier_list=() if is_of_values else self.tags,
            error_id=self.error_id,
        )


def answer_get(
    operation: Operation, attributes: Attributes, character_set: Sequence[str] = ()
) -> Response:
    """Return what an N-GET asks for of an instance, or all of it (PS3.7 §10.1.2).

    Parameters
    ----------
    operation : Operation
    attributes : Attributes
        All that may be told of the instance.
    character_set : sequence of str
        In which it is answered, if that has all of its characters.

    Returns
    -------
    Response
        0001H if something that is asked for is not there: it names that (PS3.4 Tables F.8.2-2 and
        CC.2.7-1, "Requested optional Attributes are not supported").
    """
    wanted = operation.command.attribute_identifier_list or ()
    found = {tag: attributes[tag] for tag in wanted if tag in attributes} if wanted else attributes
    unknown = [tag for tag in wanted if tag not in found and tag != _CHARACTER_SET]
    dataset = encode_attributes(
        found, operation.context.transfer_syntax, best_character_set(found, tuple(character_set))
    )
    status = Status.OPTIONAL_ATTRIBUTES_NOT_SUPPORTED if unknown else Status.SUCCESS
    return Response(status, dataset, attribute_identifier_list=tuple(unknown))


def invalid_values(comment: str, *tags: int) -> RefusedRequestError:
    """Return the refusal of values that are wrong: 0106H."""
    return RefusedRequestError(Status.INVALID_ATTRIBUTE_VALUE, comment, tags)


def refuse_mistyped(attributes: Attributes) -> None:
    """Refuse sequences that have text, and others that have items.

    Raises
    ------
    RefusedRequestError
        0106H.
    """
    if tags := sorted(set(mistyped(attributes))):
        raise invalid_values("sequences have items, and nothing else has", *tags)


def refuse_oversize(attributes: Attributes, character_set: Sequence[str], max_bytes: int) -> None:
    """Refuse an instance that could not be handed out again, or is too much.

    Parameters
    ----------
    attributes : Attributes
        All of it.
    character_set : sequence of str
        In which it was sent.
    max_bytes : int
        That it may have, encoded.

    Raises
    ------
    RefusedRequestError
        0106H, 0213H.
    """
    if count_items(attributes) > MOST_ITEMS:
        raise RefusedRequestError(Status.RESOURCE_LIMITATION, f"more than {MOST_ITEMS} items")
    encoding = best_character_set(attributes, tuple(character_set))
    try:
        encoded = encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN, encoding)
    except UnencodableValue as error:
        raise invalid_values(str(error)) from error
    if len(encoded) > max_bytes:
        raise RefusedRequestError(Status.RESOURCE_LIMITATION, f"more than {max_bytes} bytes")
