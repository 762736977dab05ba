"""Command line of the soak: ``scripts/soak --help``."""

import argparse
import logging
import random
import sys
import tempfile
from pathlib import Path

import anyio

from .run import VARIANTS, Plan, soak


def main() -> int:
    """Run the soak; return 1 if there were findings."""
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Load a node while faults are injected, and account for every acknowledgement.",
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="of load (60)")
    parser.add_argument("--kills", type=int, default=0, help="instead: only kill -9, so many times")
    parser.add_argument("--variant", choices=sorted(VARIANTS), default="sqlite")
    parser.add_argument("--clients", type=int, default=6, help="at once (6)")
    parser.add_argument("--seed", type=int, help="of a run whose choices are to be made again")
    parser.add_argument("--directory", type=Path, help="to be kept; else a temporary one")
    parser.add_argument(
        "--tally",
        type=Path,
        default=Path.home() / ".cache" / "pacs-core" / "soak.json",
        help="file that counts kills and acknowledgements over all runs",
    )
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 32)
    # What pynetdicom, as a peer, says of broken connections is no finding.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as temporary:
        directory = (given.directory or Path(temporary)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        plan = Plan(
            seed, given.minutes, given.kills, given.variant, given.clients, directory, given.tally
        )
        print(f"seed {seed}, {given.variant}, {directory}", flush=True)
        return anyio.run(_run, plan)


async def _run(plan: Plan) -> int:
    async with soak(plan) as running:
        lost = await running.run()
        trouble = running.trouble
    sums = running.faults.tally.save(lost)
    print(f"done: {dict(trouble.done)}")
    print(f"failed while there was a fault: {dict(trouble.excused)}")
    print(f"faults: {dict(trouble.faults)}, lives: {running.node.lives}")
    print(f"acknowledged: {len(running.ledger.acknowledged)}, lost: {lost}")
    print(f"over all runs: {sums}")
    print(f"{len(trouble.findings)} findings (seed {plan.seed})")
    for finding in trouble.findings:
        print(f"  {finding}")
    return 1 if trouble.findings else 0


if __name__ == "__main__":
    sys.exit(main())
