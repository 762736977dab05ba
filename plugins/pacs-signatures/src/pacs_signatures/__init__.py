"""Digital signatures in datasets (PS3.15 Annex C).

Its hooks are in a module of their own: commands start without what those import.
"""
