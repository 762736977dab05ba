"""The table ``[plugin.ai]``."""

import re
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import and_, deep_iterable, ge, gt, instance_of, le, matches_re, min_len

from pacs_core.api.conditions import OriginConditions
from pacs_core.contracts import RELOADABLE, ClientTls, Secret


@frozen
class ServiceConfig:
    """``[plugin.ai.services.NAME]``: a service, how it is asked, and what it may answer.

    Attributes
    ----------
    adapter : str
        How it is asked: ``"rest-push"``, ``"dimse"``, ``"dicomweb-pull"``, ``"ups"``, or one of
        another plugin.
    version : str
        Of its model. The same version is not asked twice about the same instances.
    url : str
        Where it is asked, with adapters that use HTTP.
    token : Secret or None
        Sent to it as ``Authorization: Bearer``, likewise.
    tls : ClientTls or None
        How its server's certificate is verified, and which one it is shown, likewise.
    send : ``"instances"`` or ``"frames"``
        What a service with ``rest-push`` gets: DICOM files; or their metadata in DICOM JSON, and
        each frame in native pixels.
    peer : str
        Name of its ``[peers.NAME]`` table, with ``dimse``.
    results_from : tuple of str
        AE titles from which C-STORE brings its results, and users who store them by STOW-RS; by
        default the AE title of `peer`.
    code : tuple of str
        Of its work items, with ``ups``: Code Value, Coding Scheme Designator, Code Meaning.
    deidentify : str
        Profile by which what it is sent is de-identified; results are re-identified.
    concurrency : int
        Requests that it works on at once.
    timeout : float
        Seconds for one request, until its answer is whole; with adapters whose results come
        later, until the service has taken the request.
    answer_within : float
        Seconds after which results that come later are not waited for any more.
    attempts : int
        How often it may fail with a request before that is given up. Being away does not count.
    breaker : int
        Failures, one after the other and of any request, after which it is left alone for a while.
    fix : bool
        Whether results that say another patient, or other attributes of the study, than the
        request was about are corrected, with Original Attributes Sequence (PS3.3 C.12.1.1.9);
        else they are quarantined.
    algorithm : bool
        Whether results must say which algorithm made them.
    max_size : int
        Bytes that a result may have. What is larger is in quarantine, up to twice as much.
    max_results : int
        Results that a request may have.
    unassessed : ``"show"``, ``"mark"`` or ``"hide"``
        Whether results that nobody has assessed, or that were rejected, are seen like others, say
        so in their Series Description (0008,103E), or are not seen but by whoever may assess.
    options : dict
        What an adapter of another plugin wants to know.
    """

    adapter: str = field(validator=min_len(1))
    version: str = field(default="", validator=matches_re(r"[^\\\x00-\x1f]{0,64}"))
    url: str = field(default="", validator=matches_re(r"(https?://[^\s]+)?"))
    token: Secret | None = None
    tls: ClientTls | None = None
    send: Literal["instances", "frames"] = "instances"
    peer: str = ""
    results_from: tuple[str, ...] = field(
        default=(), validator=deep_iterable(min_len(1), instance_of(tuple))
    )
    code: tuple[str, ...] = ()
    deidentify: str = ""
    concurrency: int = field(default=1, validator=and_(ge(1), le(64)))
    timeout: float = field(default=600.0, validator=gt(0))
    answer_within: float = field(default=3600.0, validator=gt(0))
    attempts: int = field(default=3, validator=ge(1))
    breaker: int = field(default=3, validator=ge(1))
    fix: bool = False
    algorithm: bool = True
    max_size: int = field(default=1 << 30, validator=ge(1024))
    max_results: int = field(default=1000, validator=ge(1))
    unassessed: Literal["show", "mark", "hide"] = "show"
    options: dict[str, Any] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if self.code and len(self.code) != 3:
            raise ValueError("code: Code Value, Coding Scheme Designator and Code Meaning")


@frozen
class RuleConfig(OriginConditions):
    """``[[plugin.ai.rules]]``: which service is asked about what, and when.

    Attributes
    ----------
    service : str
        Name of its table.
    where : dict of str to str or list
        Conditions on attributes that the index keeps, by keyword, as those of routing. Instances
        that meet all of them, and came from where `sources`, `called`, `users` and `interfaces`
        say, are what the service is asked about.
    unless : dict of str to str or list
        Conditions likewise, of which none may hold.
    on : ``"study"``, ``"demand"`` or ``"ups"``
        When a study is complete; when somebody asks, where it says what goes to the service; or
        when a work item is created that meets `step`.
    step : dict of str to str or list
        Conditions on attributes of unified procedure steps, by keyword, as those of `where`; a
        table is for a sequence.
    each : ``"study"`` or ``"series"``
        Whether there is one request for all instances of a study, or one for each series.
    priority : int
        What has a greater one goes first.
    least : int
        Instances below which the service is not asked.
    """

    service: str
    where: dict[str, Any] = field(factory=dict)
    unless: dict[str, Any] = field(factory=dict)
    on: Literal["study", "demand", "ups"] = "study"
    step: dict[str, Any] = field(factory=dict)
    each: Literal["study", "series"] = "study"
    priority: int = field(default=0, validator=and_(ge(-1000), le(1000)))
    least: int = field(default=1, validator=ge(1))


@frozen
class AiConfig:
    """``[plugin.ai]``: services, rules, and what is kept for how long.

    Attributes
    ----------
    services : dict of str to ServiceConfig
        By name: lower-case letters, digits, hyphens.
    rules : tuple of RuleConfig
    dicomweb_url : str
        Under which services reach DICOMweb of this node, as ``"https://pacs/dicom-web"``: for
        ``dicomweb-pull``, and for results that come later.
    assessors : tuple of str
        Roles, names of users, and AE titles. Of users, only these assess results; without any,
        whoever may do so by other rules. They see results of services with ``unassessed = "hide"``
        before they are assessed.
    first_pause, longest_pause : float
        Seconds after which a service that is away is asked again: doubled with each attempt.
    poll_steps : float
        Seconds between looks for work items, and after the last result before one is completed.
    give_up_after : float
        Days after which a request that was not answered is given up.
    keep : float
        Days for which requests and results are remembered of which the archive has nothing (more).
    keep_quarantine : float
        Days for which results stay in quarantine.
    """

    services: dict[str, ServiceConfig] = field(factory=dict)
    rules: tuple[RuleConfig, ...] = ()
    dicomweb_url: str = field(default="", validator=matches_re(r"(https?://[^\s]+[^/\s])?"))
    assessors: tuple[str, ...] = ()
    first_pause: float = field(default=5.0, validator=gt(0))
    longest_pause: float = field(default=300.0, validator=gt(0))
    poll_steps: float = field(default=5.0, validator=gt(0), metadata=RELOADABLE)
    give_up_after: float = field(default=7.0, validator=gt(0), metadata=RELOADABLE)
    keep: float = field(default=3650.0, validator=gt(0), metadata=RELOADABLE)
    keep_quarantine: float = field(default=90.0, validator=gt(0), metadata=RELOADABLE)

    @services.validator
    def _check_names(self, _: object, services: dict[str, ServiceConfig]) -> None:
        for name in services:
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name):
                raise ValueError(f"{name!r}: lower-case letters, digits and hyphens")
