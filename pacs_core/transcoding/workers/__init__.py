"""Codec processes: killable, limited, one pool for the node."""
