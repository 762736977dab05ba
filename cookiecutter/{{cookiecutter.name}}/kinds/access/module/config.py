"""The table of the plugin."""

from attrs import Attribute, field, frozen
from pacs_core.contracts import AccessAction

Words = tuple[str, ...]


def _are_actions(rule: object, attribute: "Attribute[Words]", value: Words) -> None:
    for action in value:
        if action not in {*AccessAction} and "." not in action:
            raise ValueError(f"there is no action {action!r}; there are {', '.join(AccessAction)}")


@frozen
class Rule:
    """What some peers may do.

    Attributes
    ----------
    peers : tuple of str
        Their AE titles.
    may : tuple of str
        Actions, such as ``"query"`` and ``"retrieve"``.
    modalities : tuple of str
        With instances of these only; empty for all.
    """

    peers: Words
    may: Words = field(validator=_are_actions)
    modalities: Words = ()


@frozen
class Config:
    """Who may do what.

    Attributes
    ----------
    rule : tuple of Rule
        What no rule allows is denied.
    """

    rule: tuple[Rule, ...] = ()
