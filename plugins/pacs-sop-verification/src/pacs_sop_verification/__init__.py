"""Verification SOP class for pacs-core: answers C-ECHO (PS3.4 Annex A)."""
