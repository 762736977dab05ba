"""The table ``[plugin.fhir]``."""

from collections.abc import Mapping

from attrs import field, frozen
from attrs.validators import ge, matches_re


@frozen
class FhirConfig:
    """What is offered by FHIR, and what identifiers mean.

    Attributes
    ----------
    path : str
        Where the FHIR server is on this node's web server.
    systems : mapping of str to str
        URI of the namespace of Patient IDs, such as ``urn:oid:1.2.3``, by Issuer of Patient ID;
        that of an empty issuer is of images which have none.
    accession_system : str
        URI of the namespace of accession numbers; empty if they have none.
    dicomweb_url : str
        URL of this node's DICOMweb as others see it; by default ``/dicom-web`` on the same server.
    max_results : int
        Studies in one Bundle.
    max_instances : int
        Instances that are listed of a study.
    """

    path: str = field(default="/fhir", validator=matches_re(r"(/[A-Za-z0-9._-]+)+"))
    systems: Mapping[str, str] = field(factory=dict)
    accession_system: str = ""
    dicomweb_url: str = field(default="", validator=matches_re(r"(https?://[^\s]+[^/\s])?"))
    max_results: int = field(default=100, validator=ge(1))
    max_instances: int = field(default=20_000, validator=ge(1))
