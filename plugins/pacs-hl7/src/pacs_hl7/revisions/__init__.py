"""Revisions of the tables of pacs-hl7."""
