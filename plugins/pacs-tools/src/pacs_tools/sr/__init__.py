"""Structured reports for reading: ``pacs sr`` (PS3.3 A.35, C.17, PS3.16)."""
