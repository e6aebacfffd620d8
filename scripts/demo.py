#!/usr/bin/env python3
"""The demonstration: the sample target on a free port, the example script against it, a report that says where
it is. With --check, every example is run for a moment instead and must pass.
"""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
EXAMPLES = ROOT / "examples"
REPORTS = ROOT / "reports" / "demo"
CHECKED = ROOT / "reports" / "examples"

# What makes the demonstration's target interesting: delays, a stall now and then, and a few errors.
WEATHER = ["--delay", "lognormal:8ms,0.6", "--stall", "300ms/10s", "--error-rate", "0.002"]

# An example in a hurry.
CHECK_PHASES = '{"config": {"phases": [{"duration": 2, "arrivalRate": 10}]}}'
RUN_LIMIT_S = 180


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true", help="run every example for a moment")
    options.add_argument("--binary", type=pathlib.Path, help="use this drumfire instead of building it")
    arguments = options.parse_args()
    binary = arguments.binary or build()
    return check(binary) if arguments.check else demonstrate(binary)


def build() -> pathlib.Path:
    print("building drumfire; the first time takes some minutes", flush=True)
    subprocess.run(["cargo", "build", "--release", "--locked", "-p", "drumfire-cli"], cwd=ROOT, check=True)
    return TARGET / "release" / "drumfire"


def demonstrate(binary: pathlib.Path) -> int:
    """Runs the example in full."""
    with sample_target(binary, *WEATHER) as url:
        print(f"the sample target listens on {url}", flush=True)
        script = EXAMPLES / "demo.yml"
        run = [binary, "run", script, "--target", url, "--report-dir", REPORTS]
        code = subprocess.run(run, cwd=ROOT, timeout=RUN_LIMIT_S).returncode
    print(f"\nthe report: {(REPORTS / 'report.html').as_uri()}")
    print(f"more in {REPORTS.relative_to(ROOT)}: {', '.join(sorted(path.name for path in REPORTS.iterdir()))}")
    return code


def check(binary: pathlib.Path) -> int:
    """Runs every example shortened: all must pass and leave a report."""
    passed = failed = 0
    with sample_target(binary) as url:
        for script in sorted(EXAMPLES.glob("*.yml")):
            report = CHECKED / f"{script.stem}.html"
            CHECKED.mkdir(parents=True, exist_ok=True)
            report.unlink(missing_ok=True)
            run = [binary, "run", script, "--target", url, "--overrides", CHECK_PHASES, "--html", report]
            done = subprocess.run(run, cwd=ROOT, timeout=RUN_LIMIT_S, stdout=subprocess.PIPE, text=True)
            good = done.returncode == 0 and report.exists()
            print(f"{'ok' if good else 'FAIL'}: {script.name} ended with {done.returncode}")
            if not good:
                print(done.stdout)
            passed += good
            failed += not good
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


@contextlib.contextmanager
def sample_target(binary: pathlib.Path, *options: str) -> Iterator[str]:
    """The sample target's URL, while it runs."""
    command = [binary, "target", "--listen", "127.0.0.1:0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
