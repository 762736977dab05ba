"""A plugin-driven DICOM archive: the kernel."""
