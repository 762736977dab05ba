"""Text in which nothing acts on whoever shows it."""


def escape(text: str) -> str:
    """Return text in which nothing acts on a terminal or begins a new line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
