"""Frames of DICOM images as pictures.

Its hooks are in a module of their own: commands start without what those import.
"""
