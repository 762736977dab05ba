"""De-identification by the profiles of PS3.15 Annex E.

Its hooks are in a module of their own: commands start without what those import.
"""
