"""What is measured, one module each; its ``cases(options)`` says what is compared."""

from collections.abc import Callable, Iterator, Mapping

from ..runner import Case, Options
from . import store

WORKLOADS: Mapping[str, Callable[[Options], Iterator[Case]]] = {
    "store": store.cases,
}
