"""Additions of plugins to the conformance statement: web services and security (PS3.2, PS3.18)."""

from collections.abc import Mapping
from enum import StrEnum

from attrs import field, frozen


@frozen
class WebTransaction:
    """A transaction of a web service.

    Attributes
    ----------
    name : str
        ``"Search (QIDO-RS)"``.
    section : str
        Of the standard: ``"PS3.18 §10.6"``; empty for an extension.
    resources : tuple of str
        Method and path of each, from the root of the service: ``"GET /studies"``.
    media_types : tuple of str
        In which it answers, or which it takes.
    parameters : tuple of str
        Of its query.
    remarks : str
        What is to be known besides.
    """

    name: str
    section: str
    resources: tuple[str, ...]
    media_types: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    remarks: str = ""


@frozen
class WebServicesStatement:
    """Web services of a plugin.

    Attributes
    ----------
    name : str
    root : str
        Path of the service.
    transactions : tuple of WebTransaction
    statuses : mapping of int to str
        HTTP statuses, and when they are answered.
    attributes : mapping of str to tuple of str
        Keywords of the attributes that it answers a search with, by level.
    remarks : tuple of str
        Paragraphs.
    """

    name: str
    root: str
    transactions: tuple[WebTransaction, ...]
    statuses: Mapping[int, str] = field(factory=dict)
    attributes: Mapping[str, tuple[str, ...]] = field(factory=dict)
    remarks: tuple[str, ...] = ()


class SecuritySection(StrEnum):
    """Sections of the chapter on security, by their titles (PS3.2 A.7)."""

    PROFILES = "Security Profiles"
    ASSOCIATION = "Association Level Security"
    APPLICATION = "Application Level Security"


@frozen
class SecurityStatement:
    """What a plugin does for security, as it is configured.

    Attributes
    ----------
    section : SecuritySection
    paragraphs : tuple of str
        Whole sentences, without anything secret.
    """

    section: SecuritySection
    paragraphs: tuple[str, ...]
