"""Everyday tasks with DICOM files: commands of ``pacs``, entry points ``pacs_core.commands``.

The commands need no node. What they read they read with the scanner of the kernel, so that they
bear what it bears; and they import as little as they can, since one waits for each of them.
"""
