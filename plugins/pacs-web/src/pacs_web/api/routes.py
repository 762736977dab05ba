"""Descriptors with which plugins register routes, pages and API sections."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from pacs_web.api.context import WebContext


@frozen
class NavigationEntry:
    """A page that the navigation of every page links to.

    Attributes
    ----------
    title : str
        In English.
    path : str
        From the root of the site, such as ``"/viewer/"``; empty for what is no page by itself, as
        a viewer that shows nothing but studies.
    icon : str
        Name of an icon of the user interface; it has a default for names that it does not know.
    order : int
        Entries with lower numbers come first.
    titles : mapping of str to str
        In other languages, by language tag: ``{"de": "Betrachter"}``.
    study_path : str
        Path of a page about a study, with ``{study}`` where its Study Instance UID belongs. The
        user interface offers it for each study.
    is_viewer : bool
        Whether that page shows the pictures of the study: it is then offered before others.
    is_account : bool
        Whether it is the page of whoever is signed in: the user interface shows their name instead
        of its title.
    """

    title: str
    path: str
    icon: str = ""
    order: int = 100
    titles: Mapping[str, str] = field(factory=dict)
    study_path: str = ""
    is_viewer: bool = True
    is_account: bool = False


@frozen
class WebRoutesDescriptor:
    """Routes below a prefix, and what is to be known of them.

    Attributes
    ----------
    name : str
        Unique on the node; the routes' names begin with it in ``request.url_for("NAME:ROUTE")``.
    create : callable
        Returns the routes, whose paths begin after the prefix. Called once in each worker, before
        the first request; what it imports does not delay the node's start. Without any the
        descriptor is left out, with its links and its section of the document.
    prefix : str
        Where they are: ``"/dicom-web"``, or ``""`` for paths from the root of the site. The
        longest prefix of a path decides. Each prefix but ``""`` belongs to one descriptor.
    title : str
        For people, and for ``/openapi.json``.
    navigation : tuple of NavigationEntry
        Pages to link to.
    openapi : callable or None
        Returns the section of the OpenAPI 3.1 document: a mapping with ``paths``, which begin
        after the prefix, and if need be ``components`` and ``tags``.
    max_body : int or None
        Bytes that the body of a request may have, else 413. None: any number, because the routes
        read it as a stream.
    public : bool
        Whether everybody may ask, before anyone is authenticated: a login page, or files that say
        nothing of patients.
    """

    name: str
    create: "Callable[[WebContext], Sequence[BaseRoute]]"
    prefix: str
    title: str = ""
    navigation: tuple[NavigationEntry, ...] = ()
    openapi: "Callable[[WebContext], Mapping[str, Any]] | None" = None
    max_body: int | None = 1 << 20
    public: bool = False
