"""Pictures and videos as DICOM instances, and back: ``pacs from-image``, ``from-video``."""
