"""Value multiplicity (PS3.5 §6.4)."""


def allows(multiplicity: str, count: int) -> bool:
    """Tell whether PS3.6 allows so many values: "1", "2", "1-3", "1-n", "2-2n"."""
    least, _, most = multiplicity.partition("-")
    if not least.isdecimal():
        return True
    if not most:
        return count == int(least)
    if most.endswith("n"):
        step = int(most[:-1] or 1)
        return count >= int(least) and count % step == 0
    return int(least) <= count <= int(most) if most.isdecimal() else count >= int(least)
