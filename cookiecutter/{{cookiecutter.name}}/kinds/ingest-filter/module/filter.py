"""The filter: a Patient ID means nothing without who issued it."""

from typing import Final

from pacs_core.contracts import (
    Accept,
    Edit,
    FilterVerdict,
    IncomingHeader,
    IngestFilter,
    Origin,
    Reject,
)
from pacs_core.dataset import tag_of
from pacs_core.dimse import Status

from {{ cookiecutter.__package }}.config import Config

_PATIENT_ID: Final = tag_of("PatientID")
_ISSUER: Final = tag_of("IssuerOfPatientID")


class Issuer(IngestFilter):
    """Adds Issuer of Patient ID (0010,0021) where it is missing.

    Parameters
    ----------
    config : Config
    """

    def __init__(self, config: Config) -> None:
        self._config = config

    async def judge(self, header: IncomingHeader, origin: Origin) -> FilterVerdict:
        """See base."""
        if header.texts(_ISSUER) or not header.texts(_PATIENT_ID):
            return Accept()
        issuer = self._config.issuers.get(origin.calling_ae_title or "")
        if issuer:
            return Edit({_ISSUER: (issuer,)}, reason="ADD")
        if self._config.strict:
            return Reject("who issued the Patient ID is not known", Status.NOT_AUTHORIZED)
        return Accept()
