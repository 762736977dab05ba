"""``pacs bench``: a peer under load, and how long it takes to answer."""

from typing import Annotated, Literal

from pacs_core.api.file_commands import (
    CLIENT,
    ClientOptions,
    JsonOption,
    Option,
    UsageError,
    dump_json,
    print_table,
    say,
)


def bench(
    peer: str,
    /,
    *,
    operation: Literal["store", "echo"] = "store",
    associations: int = 4,
    count: Annotated[int, Option("--count", "-n")] = 200,
    size: int = 512,
    json: JsonOption = False,
    options: ClientOptions = CLIENT,
) -> int:
    """Load a peer, and print throughput and a histogram of latencies.

    "store" sends CT images of noise, each an instance of its own, of one study for each
    association, whose Patient ID is PACS-BENCH: not for a peer that keeps what it gets for
    patients. The exit code is 1 if the peer fails any of them.

    Parameters
    ----------
    peer
        AET@HOST:PORT, or the name of a configured peer.
    operation
        C-STORE or C-ECHO.
    associations
        How many to have at once.
    count
        Operations, of all associations together.
    size
        Rows and columns of an image, of two bytes a pixel.
    json
        Print one JSON object.
    """
    if associations < 1 or count < associations or not 1 <= size <= 8192:
        raise UsageError(
            "--associations is 1 or more, --count as many or more, --size from 1 to 8192"
        )
    # They bring the network, which the help of all commands does not wait for.
    from pacs_core.api.commands import open_session, run_async
    from pacs_tools.load import Load, summarize

    load = Load(open_session(peer, options), operation == "store", size)
    seconds = run_async(load.run, associations, count)
    summary = summarize(load, seconds)
    if json:
        print(dump_json(summary))
        return 1 if load.failures else 0
    say(
        f"{summary['operations']} operations in {seconds:.2f} s: "
        f"{summary['operations_per_second']:.1f}/s, {summary['megabytes_per_second']:.1f} MB/s"
    )
    latency = summary["latency_ms"]
    say("; ".join(f"{name} {value:.1f} ms" for name, value in latency.items()))
    most = max((number for _, number in summary["histogram"]), default=1)
    rows = [
        (f"<= {bound:g} ms", str(number), "#" * -(-40 * number // most))
        for bound, number in summary["histogram"]
    ]
    print_table(["LATENCY", "OPERATIONS", ""], rows)
    for reason, number in load.failures.items():
        say(f"{number} failed: {reason}")
    return 1 if load.failures else 0
