"""A profile: which options are taken, under which key, and what a site adds to them."""

import re
from typing import Literal

from attrs import Attribute, field, frozen

from pacs_deidentify.ages import DEFAULT_OLDEST
from pacs_deidentify.options import Option
from pacs_deidentify.pseudonyms import Pseudonyms
from pacs_deidentify.regions import RegionRule

BurnedIn = Literal["refuse", "flag"]


@frozen(kw_only=True)
class Profile:
    """How instances are de-identified.

    Attributes
    ----------
    pseudonyms : Pseudonyms
        Under the key of the site, or of a project.
    options : frozenset of Option
        In addition to the Basic Application Level Confidentiality Profile.
    name : str
        For De-identification Method (0012,0063).
    max_shift : int
        Days by which dates are moved at most, where they are modified.
    keep, remove : frozenset of int
        Tags that are kept as they are, or removed, whatever the profile says.
    safe_private : frozenset of (str, int, int)
        Private attributes that the site knows to be safe: creator, group, element in the block.
    patterns : tuple of re.Pattern
        What else is taken out of text that is cleaned.
    oldest_age : int
        Years above which all ages become the next one; 0 for no limit.
    burned_in : str
        What is done with images that say that text is burnt in, if pixel data are not cleaned:
        ``refuse``, or ``flag`` in the report.
    regions : tuple of RegionRule
        Where text is burnt in, by device.
    blanked_syntax : str
        Transfer syntax UID of what was compressed, and blanked; empty for its own or a native one.
    keeps_sound : bool
        Whether videos keep their sound, and recordings of voices are let out.
    proves : bool
        Whether what is made is searched for what it must not show, and not let out then.
    """

    pseudonyms: Pseudonyms
    options: frozenset[Option] = field(default=frozenset())
    name: str = "basic"
    max_shift: int = 3652
    keep: frozenset[int] = frozenset()
    remove: frozenset[int] = frozenset()
    safe_private: frozenset[tuple[str, int, int]] = frozenset()
    patterns: tuple[re.Pattern[str], ...] = ()
    oldest_age: int = DEFAULT_OLDEST
    burned_in: BurnedIn = "refuse"
    regions: tuple[RegionRule, ...] = ()
    blanked_syntax: str = ""
    keeps_sound: bool = False
    proves: bool = False

    @property
    def moves_dates(self) -> bool:
        """Whether dates are moved."""
        return Option.RETAIN_MODIFIED_DATES in self.options

    @options.validator
    def _check_options(self, _: "Attribute[frozenset[Option]]", value: frozenset[Option]) -> None:
        if {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES} <= value:
            raise ValueError(
                f"{Option.RETAIN_FULL_DATES} and {Option.RETAIN_MODIFIED_DATES} exclude each other"
            )
