"""Statements: conformance to IHE's transactions, and what is weak in a configuration."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from pacs_core.contracts import (
    SecurityFinding,
    SecuritySection,
    SecurityStatement,
    Severity,
    WebServicesStatement,
    WebTransaction,
    is_loopback,
)

from pacs_xds.config import XdsConfig
from pacs_xds.soap.mtom import SOAP_XML, XOP_XML

_TYPES = (f'multipart/related; type="{XOP_XML}"', SOAP_XML)


def state_conformance(config: XdsConfig) -> Iterator[WebServicesStatement | SecurityStatement]:
    """Iterate over what is offered, as it is configured."""
    if config.location_uid:
        retrieve = WebTransaction(
            "Retrieve Imaging Document Set (RAD-69)",
            "IHE RAD TF-3 4.69",
            ("POST /",),
            _TYPES,
            remarks="Instances go out in a transfer syntax that the request lists, as they are "
            "stored if that is one. What cannot be had is in the RegistryErrorList, with the "
            "status PartialSuccess or Failure.",
        )
        yield WebServicesStatement(
            "Imaging Document Source (IHE XDS-I.b)",
            config.path,
            (retrieve,),
            {
                200: "a RetrieveDocumentSetResponse",
                400: "a SOAP fault: the request is malformed (env:Sender)",
                413: "a SOAP fault: the request is too large",
                415: "a SOAP fault: the request is neither SOAP 1.2 nor MTOM",
                500: "a SOAP fault: another version of SOAP, a header that must be understood and "
                "is not, or an error of this node",
            },
            remarks=tuple(_remarks(config)),
        )
    yield SecurityStatement(
        SecuritySection.APPLICATION,
        (
            "IHE transactions RAD-16, RAD-68, RAD-69, ITI-18, ITI-43 and ITI-57 are audited with "
            "their IHE event types. SAML assertions of requests are not verified: the name in one "
            "is audited as claimed, and grants nothing.",
        ),
    )


def _remarks(config: XdsConfig) -> Iterator[str]:
    yield f"Retrieve Location UID (0040,E011) and repositoryUniqueId: {config.location_uid}."
    if config.repository is not None:
        yield (
            "Manifests are Key Object Selection documents by TID 2010, with the title (113030, "
            "DCM, Manifest). They are provided by RAD-68 (ITI-41), and replaced (RPLC) when what a "
            "study has changes."
        )
    if config.updates is not None:
        yield (
            "Entries whose studies were deleted, or are another patient's and cannot be replaced, "
            "are deprecated by ITI-57 (UpdateAvailabilityStatus)."
        )


def find_weaknesses(config: XdsConfig) -> Iterator[SecurityFinding]:
    """Iterate over peers whose connections are not encrypted."""
    peers = {**config.repositories, **config.sources}
    if config.repository is not None:
        peers["repository"] = config.repository
    if config.registry is not None:
        peers["registry"] = config.registry
    if config.updates is not None:
        peers["updates"] = config.updates
    for name, peer in peers.items():
        url = urlsplit(peer.url)
        if url.scheme != "https" and not is_loopback(url.hostname or ""):
            what = f"what is exchanged with {name} names patients, and is not encrypted"
            yield SecurityFinding(
                Severity.HIGH, what, f"use an https URL for {name} in [plugin.xds]"
            )
