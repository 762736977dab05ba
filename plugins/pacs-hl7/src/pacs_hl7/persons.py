"""Names of persons: XPN and XCN of HL7 as PN of DICOM (PS3.5 6.2)."""

from typing import Final

from pacs_hl7.messages import Message

_GROUPS: Final = {"": 0, "A": 0, "I": 1, "P": 2}
"""Groups of a PN by name representation code (HL7 table 0465)."""
_COMPONENTS: Final = (1, 2, 3, 5, 4)
"""Of XPN, in the order of PN: family, given, middle, prefix, suffix."""
_REPRESENTATION: Final = 8


def read_person(
    message: Message, segment: str, number: int, *, occurrence: int = 1, skip: int = 0
) -> str:
    """Return the first name of each representation in a field.

    Parameters
    ----------
    message : Message
    segment : str
    number : int
        Of the field.
    occurrence : int
        Of the segment.
    skip : int
        Components before the name: XCN has an identifier first.
    """
    groups = ["", "", ""]
    for repetition in message.repetitions(segment, number, occurrence):

        def part(component: int, repetition: int = repetition) -> str:
            found = message.get(
                segment,
                number,
                repetition=repetition,
                component=component + skip,
                occurrence=occurrence,
            )
            # Delimiters of PN within a component would move all that follow.
            return found.replace("^", " ").replace("=", " ").replace("\\", " ")

        # XCN has its representation code elsewhere, where hardly anybody uses it.
        group = 0 if skip else _GROUPS.get(part(_REPRESENTATION))
        if group is not None and not groups[group]:
            groups[group] = "^".join(map(part, _COMPONENTS)).rstrip("^")
    return "=".join(groups).rstrip("=")
