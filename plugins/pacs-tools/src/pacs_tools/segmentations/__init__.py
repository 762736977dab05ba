"""Segmentations to NIfTI and back: ``pacs seg`` (PS3.3 A.51, C.8.20)."""
