"""CapabilityStatement: what this server does (FHIR R4 3.1.0.12)."""

from importlib.metadata import version
from typing import Any, Final

from pacs_fhir.searching import PATIENT

_PUBLISHED: Final = "2026-01-01"
_TYPES: Final = {"identifier": "token", "modality": "token", "started": "date", "_id": "token"}


def make_capability_statement(base: str) -> dict[str, Any]:
    """Return the statement of the server with this base URL."""
    definition = "http://hl7.org/fhir/SearchParameter/clinical-patient"
    parameters = [{"name": name, "type": kind} for name, kind in _TYPES.items()]
    parameters.append(
        {
            "name": "patient",
            "type": "reference",
            "definition": definition,
            "documentation": f"By identifier only: {', '.join(PATIENT)}",
        }
    )
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _PUBLISHED,
        "kind": "instance",
        "software": {"name": "pacs-core", "version": version("pacs-core")},
        "implementation": {"description": "Imaging studies of this archive", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {
                        "type": "ImagingStudy",
                        "interaction": [{"code": "read"}, {"code": "search-type"}],
                        "versioning": "no-version",
                        "searchParam": parameters,
                    }
                ],
            }
        ],
    }
