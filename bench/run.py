#!/usr/bin/env python3
"""Measures Drumfire and its peers, and judges Drumfire's goals: `make bench`, or

    python3 bench/run.py [cost] [users] [pacing] [stall] [saturation] [skew] [cluster] [--write-docs]

Each benchmark prints a table and writes bench/results/NAME.json; with --write-docs it also renews
its figures in docs/benchmarks.md. Python's standard library is all it needs. The exit code is 1
where a goal was missed. Nothing here is part of `make test`: timings depend on the machine.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import cluster
import cost
import install
import pacing
import peers
import process
import publish
import saturation
import skew
import stall
import users

BENCHMARKS = {
    "cost": cost.measure,
    "users": users.measure,
    "pacing": pacing.measure,
    "stall": stall.measure,
    "saturation": saturation.measure,
    "skew": skew.measure,
    "cluster": cluster.measure,
}

# Those that measure Drumfire alone: no peer is installed for them.
ALONE = {"saturation", "skew", "cluster"}


def main():
    options = arguments()
    # The harness stays off the generator's core.
    os.sched_setaffinity(0, {process.SERVER_CORE})
    process.urgent = options.urgent
    options.drumfire = str(options.drumfire.resolve()) if options.drumfire else built()
    chosen = options.benchmarks or list(BENCHMARKS)
    if "cluster" in chosen and not options.agents_binary:
        options.agents_binary = simulated_agents()
    if not options.no_install and not ALONE.issuperset(chosen):
        for name, reason in install.everything().items():
            print(f"skipped: {name} cannot be had: {reason}", flush=True)
    passed = True
    for name in chosen:
        report = publish.Report(name)
        BENCHMARKS[name](report, options)
        report.finish(options.write_docs)
        passed &= report.passed
    return 0 if passed else 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmarks", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--drumfire", type=Path, help="the binary; as `make release` builds it if not given")
    parser.add_argument(
        "--agents-binary", type=Path, help="for cluster: the simulated agents; built if not given"
    )
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (3)")
    parser.add_argument("--seconds", type=float, default=6, help="length of one run of cost (6)")
    parser.add_argument("--connections", type=numbers, help="for cost, such as 10,100")
    parser.add_argument("--tools", type=names, help=f"for cost, of: {', '.join(peers.TOOLS)}")
    parser.add_argument(
        "--keep", action="store_true", help="for cost: keep the rest of the last run's figures"
    )
    parser.add_argument("--full", action="store_true", help="a million users, for two minutes")
    parser.add_argument("--no-install", action="store_true", help="measure what is there")
    parser.add_argument(
        "--urgent", action="store_true", help="go before other programs of a busy machine (root)"
    )
    parser.add_argument("--write-docs", action="store_true", help="renew docs/benchmarks.md")
    options = parser.parse_args()
    unknown = set(options.benchmarks) - set(BENCHMARKS)
    unknown |= set(options.tools or ()) - set(peers.TOOLS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


def numbers(text):
    return [int(part) for part in text.split(",")]


def names(text):
    return [part.strip() for part in text.split(",")]


def built():
    """Builds the binary as it is shipped: `make release`."""
    project = publish.PROJECT
    subprocess.run(["make", "release"], cwd=project, check=True)
    folder = Path(os.environ.get("CARGO_TARGET_DIR", project / "target"))
    return str((project / folder / "dist" / "drumfire").resolve())


def simulated_agents():
    """Builds the program that simulates agents."""
    project = publish.PROJECT
    command = ["cargo", "build", "--release", "--locked", "-p", "drumfire-bench-agents"]
    subprocess.run(command, cwd=project, check=True)
    folder = Path(os.environ.get("CARGO_TARGET_DIR", project / "target"))
    return (project / folder / "release" / "drumfire-bench-agents").resolve()


if __name__ == "__main__":
    sys.exit(main())
