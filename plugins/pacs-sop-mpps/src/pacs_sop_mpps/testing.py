"""Attributes of performed steps, for tests of plugins that follow them."""

from typing import Final

from pacs_core.dataset import MutableAttributes, tag_of
from pacs_sop_mpps.rules import RULES, Rule
from pacs_sop_mpps.steps import STATUS

_VALUES: Final = {"UI": "1.2.3", "DA": "20260131", "TM": "0930", "PN": "Doe^Jane", "CS": "CT"}
_CODE: Final = tag_of("CodeValue")


def sample_attributes(rules: tuple[Rule, ...] = RULES) -> MutableAttributes:
    """Return attributes with a value for each row of Table F.7.2-1, or of one of its sequences.

    Parameters
    ----------
    rules : tuple of Rule

    Returns
    -------
    dict
        Of a step that is in progress.
    """
    attributes: MutableAttributes = {}
    for rule in rules:
        if rule.vr == "SQ":
            attributes[rule.tag] = (sample_attributes(rule.rules) or {_CODE: ("1",)},)
        else:
            value = "IN PROGRESS" if rule.tag == STATUS else _VALUES.get(rule.vr, "x")
            attributes[rule.tag] = (value,)
    return attributes
