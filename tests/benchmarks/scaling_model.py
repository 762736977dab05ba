"""More cores than were measured: the Universal Scalability Law, and its table.

With N workers a node takes ``N / (1 + a (N - 1) + b N (N - 1))`` times as much as with one. `a` is
the part that only one may do at a time (Amdahl's law, if `b` is 0), and `b` what each worker costs
every other, such as pages that it has to read again (N. J. Gunther, Guerrilla Capacity Planning,
2007). Both are fitted to what was measured, and neither is less than 0.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from statistics import median

from attrs import frozen

MODELLED = (8, 16)


@frozen
class Sample:
    """What a run gave.

    Attributes
    ----------
    rate : float
        Operations a second.
    processor : float
        Microseconds of processor time that workers took for one.
    used : float
        Part of the processor time given to the workers that they took.
    """

    rate: float
    processor: float
    used: float


@frozen
class Law:
    """How a case scales: see above."""

    serial: float
    mutual: float

    def factor(self, workers: int) -> float:
        """Return how many times as much as one so many workers take."""
        others = workers - 1
        return workers / (1 + self.serial * others + self.mutual * workers * others)


def fit(factors: Mapping[int, float]) -> Law:
    """Return the law that is nearest to factors by number of workers, by least squares.

    ``N / factor - 1 = a (N - 1) + b N (N - 1)`` is linear in both.
    """
    rows = [(n - 1, n * (n - 1), n / factor - 1) for n, factor in factors.items() if n > 1]

    def only(column: int) -> float:
        part = sum(row[column] * row[2] for row in rows)
        return max(0.0, part / sum(row[column] ** 2 for row in rows))

    if len(rows) > 1:
        aa, ab, bb = (sum(row[i] * row[j] for row in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
        ay, by = (sum(row[i] * row[2] for row in rows) for i in (0, 1))
        determinant = aa * bb - ab * ab
        law = Law((ay * bb - by * ab) / determinant, (aa * by - ab * ay) / determinant)
        if law.serial >= 0 and law.mutual >= 0:
            return law
    candidates = [Law(only(0), 0.0), Law(0.0, only(1))] if rows else [Law(0.0, 0.0)]
    return min(
        candidates,
        key=lambda law: sum((law.serial * a + law.mutual * b - y) ** 2 for a, b, y in rows),
    )


_FIGURES = ("rate", "processor")
Samples = Mapping[int, Sequence[Sample]]
"""Of each round, by number of workers."""


def factors(samples: Samples) -> dict[int, list[float]]:
    """Return what so many workers take, in times what one took in the same round."""
    one = samples[1]
    return {
        workers: [each.rate / first.rate for each, first in zip(found, one, strict=False)]
        for workers, found in samples.items()
    }


def row(
    name: str,
    samples: Samples,
    control: Samples | None,
    counts: Sequence[int],
    bound: Callable[[float], tuple[float, float]] | None,
) -> list[str]:
    """Return a line of the table: one worker, more that were measured, and more by the law.

    Parameters
    ----------
    name : str
    samples : mapping
    control : mapping, optional
        Of nodes that share nothing. Without, the line is that of a control: nothing is modelled.
    counts : sequence of int
        Of workers.
    bound : callable, optional
        Returns the least and the most number of cores that the index lets be of use, given the
        processor time of an object.
    """
    found = {workers: median(each) for workers, each in factors(samples).items()}
    apart = {n: median(each) for n, each in factors(control).items()} if control else {}
    kept = {n: factor / apart[n] for n, factor in found.items() if n in apart}
    rate, processor = (median(getattr(s, what) for s in samples[1]) for what in _FIGURES)
    cells = [name, f"{rate:.0f}, {processor:.0f}"]
    for workers in counts:
        if workers > 1 and (of := samples.get(workers)):
            of_control = f", {kept[workers]:.2f}" if kept else ""
            taken, used = (median(getattr(s, what) for s in of) for what in ("processor", "used"))
            cells.append(f"{found[workers]:.2f}{of_control}, {taken:.0f}, {used:.0%}")
        elif workers > 1:
            cells.append("")
    if not kept:
        return cells + [""] * (2 + len(MODELLED))
    # What is more than the control is a disturbance: no node gains by sharing.
    law = fit({workers: workers * min(part, 1.0) for workers, part in kept.items()})
    least, most = bound(processor) if bound else (inf, inf)
    cells += [
        f"{law.serial:.3f}, {law.mutual:.4f}",
        f"{least:.1f} to {most:.1f}" if bound else "not measured",
    ]
    return cells + [f"{min(law.factor(workers), most):.1f}" for workers in MODELLED]
