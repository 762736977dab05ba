"""Validation of DICOM files against PS3.3, PS3.5, PS3.6 and PS3.10: ``pacs validate``."""
