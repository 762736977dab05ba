"""The table ``[plugin.deidentify]``."""

import re
from typing import Literal

from attrs import field, frozen
from attrs.validators import deep_iterable, ge, in_, instance_of, le, matches_re, max_len, min_len

from pacs_core.api.images import is_lossless
from pacs_core.contracts import Secret
from pacs_core.dataset import transfer_syntax_uid
from pacs_deidentify.options import Option

BASIC = "basic"
"""The name of the profile without options."""

_OPTIONS = [option.value for option in Option]
_TAG = deep_iterable(matches_re(r"[0-9A-Fa-f]{8}|[A-Za-z][A-Za-z0-9]*"), instance_of(tuple))


@frozen
class DeviceConfig:
    """``[[plugin.deidentify.devices]]``: where images of a device have text burnt in.

    Attributes
    ----------
    sop_class : str
        UID; empty for any, as all that follow.
    modality, manufacturer, model : str
        Beginnings of what the image says, whatever their case.
    rows, columns : int
        0 for any.
    regions : tuple of tuple of int
        x, y, width and height in pixels. None: the device burns nothing in.
    outside_ultrasound_regions : bool
        Whether all is blanked that is in no region of Sequence of Ultrasound Regions (0018,6011).
    no_faces : bool
        Whether nobody can be recognized in images of the device: with the option
        clean-visual-features they are let out, of whatever part of the body they are.
    """

    sop_class: str = ""
    modality: str = ""
    manufacturer: str = ""
    model: str = ""
    rows: int = field(default=0, validator=ge(0))
    columns: int = field(default=0, validator=ge(0))
    regions: tuple[tuple[int, ...], ...] = field(
        default=(), validator=deep_iterable(deep_iterable(ge(0), [min_len(4), max_len(4)]))
    )
    outside_ultrasound_regions: bool = False
    no_faces: bool = False


@frozen
class ProfileConfig:
    """``[plugin.deidentify.profiles.NAME]``: the Basic Profile with options (PS3.15 E.3).

    Attributes
    ----------
    options : tuple of str
        As `pacs deidentify --option` names them.
    keep : tuple of str
        Attributes that stay as they are, whatever the standard says: by keyword, or by the eight
        digits of their tag. Private ones are named in ``safe_private``.
    remove : tuple of str
        Attributes that go, whatever the standard says.
    safe_private : tuple of str
        Private attributes that are known to be safe beside those of the standard, as
        ``CREATOR:GGGG:EE``; with the option retain-safe-private.
    patterns : tuple of str
        Regular expressions of what else is taken out of text that is cleaned.
    max_shift : int
        Days by which dates are moved at most, with the option retain-modified-dates.
    oldest_age : int
        Years above which ages become one: with 89, all of 90 and more are told as 90, in
        attributes, content items and text that stay, and of who is as old neither the date nor the
        year of birth stays, also where `keep` names them. 0: ages stay as they are.
    burned_in : str
        What is done with images in which text is burnt in, unless pixels are cleaned: ``refuse``,
        or ``flag`` in the report.
    blanked_syntax : str
        Transfer syntax, by its name or UID, of images that were compressed and of which regions
        were blanked: a lossless one. Empty for the one that they had if it is lossless, else for
        native pixels.
    keep_sound : bool
        Whether videos keep their sound, in which names may be spoken; else it is erased, and
        instances that are nothing but sound are refused.
    prove : bool
        Whether each instance that was de-identified is searched for what its original tells of
        people, and refused if it shows something; also without `pacs deidentify --report`, and for
        what a node hands out.
    """

    options: tuple[str, ...] = field(default=(), validator=deep_iterable(in_(_OPTIONS)))
    keep: tuple[str, ...] = field(default=(), validator=_TAG)
    remove: tuple[str, ...] = field(default=(), validator=_TAG)
    safe_private: tuple[str, ...] = field(
        default=(), validator=deep_iterable(matches_re(r".{1,64}:[0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}"))
    )
    patterns: tuple[str, ...] = ()
    max_shift: int = field(default=3652, validator=[ge(1), le(36524)])
    oldest_age: int = field(default=89, validator=[ge(0), le(998)])
    burned_in: Literal["refuse", "flag"] = "refuse"
    blanked_syntax: str = ""
    keep_sound: bool = False
    prove: bool = False

    def __attrs_post_init__(self) -> None:
        for pattern in self.patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        if self.blanked_syntax and not is_lossless(transfer_syntax_uid(self.blanked_syntax)):
            raise ValueError(f"blanked_syntax: {self.blanked_syntax} is not lossless")


@frozen
class DeidentifyConfig:
    """``[plugin.deidentify]``: the key, profiles, and what is known of devices.

    Attributes
    ----------
    key : Secret or None
        From which pseudonyms, UIDs and the shift of dates are computed: at least 16 characters.
        Without one, the node makes one when it first needs it, and keeps it in its directory;
        `pacs deidentify` takes one for each run.
    profile : str
        The profile that is used where none is named.
    profiles : dict of str to ProfileConfig
        By name, in addition to ``basic``, which is the Basic Profile without options.
    devices : tuple of DeviceConfig
        The first that matches an image is used.
    """

    key: Secret | None = None
    profile: str = "basic"
    profiles: dict[str, ProfileConfig] = field(factory=dict)
    devices: tuple[DeviceConfig, ...] = ()
