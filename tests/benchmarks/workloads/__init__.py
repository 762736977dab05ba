"""What is measured, one module each; its ``cases(options)`` says what is compared."""

from collections.abc import Callable, Iterator, Mapping

from ..runner import Case, Options
from . import (
    codecs,
    control,
    find,
    ingest,
    large,
    process,
    retrieve,
    send,
    starts,
    store,
    tools,
    web,
    worklist,
)

WORKLOADS: Mapping[str, Callable[[Options], Iterator[Case]]] = {
    "associate": control.associate_cases,
    "echo": control.echo_cases,
    "store": store.cases,
    "large": large.cases,
    "find": find.cases,
    "retrieve": retrieve.cases,
    "send": send.cases,
    "codecs": codecs.cases,
    "tools": tools.cases,
    "starts": starts.cases,
    "web": web.cases,
    "worklist": worklist.cases,
    "ingest": ingest.cases,
    "start": process.start_cases,
    "idle": process.idle_cases,
}
