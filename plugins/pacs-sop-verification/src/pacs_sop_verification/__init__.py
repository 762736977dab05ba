"""Verification SOP class for pacs-core: answers C-ECHO (PS3.4 Annex A)."""

from pacs_sop_verification.plugin import pacs_service_providers
from pacs_sop_verification.provider import VERIFICATION, Verification

__all__ = ["VERIFICATION", "Verification", "pacs_service_providers"]
