"""The query model: conditions, the keys that become them, and the values that match them.

It stands below the contracts, whose names it has for plugins: who searches files needs no archive.
"""
