#!/usr/bin/env python3
"""Every check of the project, one after another: what `make test` is.

A check counts as one, or as many as it says itself: a line `N passed, N failed` of its own, or the
results of `cargo test`. What this machine cannot run is skipped by name and reason; with
DRUMFIRE_FORBID_SKIPS=1 a skipped check is a failed one. Names as arguments choose checks.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import tools

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
DRUMFIRE = TARGET / "release" / "drumfire"
FUZZ_SECONDS = int(os.environ.get("DRUMFIRE_FUZZ_SECONDS", "20"))
FORBID_SKIPS = os.environ.get("DRUMFIRE_FORBID_SKIPS", "0") not in ("", "0")

OWN_COUNT = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
CARGO_COUNT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")
FAILED = re.compile(r"^(?:FAIL:? +(.+)|(error(?:\[\w+\])?: .+)|test (.+) \.\.\. FAILED)$")
SKIPPED = re.compile(r"^skipped: (.+)$")


@dataclasses.dataclass
class Check:
    """A command to run, made when its turn comes: making it may install a tool."""

    name: str
    command: Callable[[], list[str]]
    limit_s: int
    env: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Tally:
    """What came of the checks."""

    passed: int = 0
    failed: list[str] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)


def cargo(*words: str) -> Callable[[], list[str]]:
    """A command of the Rust that is there."""
    return lambda: ["cargo", *words]


def script(name: str, *words: str) -> Callable[[], list[str]]:
    """One of the project's own scripts."""
    return lambda: [sys.executable, str(ROOT / name), *words]


def deny() -> list[str]:
    """Licences, banned crates and sources. Advisories are left out: their database lives on a code host
    that a build machine need not reach, and they change without a change here."""
    use(tools.cargo_deny())
    return ["cargo", "deny", "--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]


def tests() -> list[str]:
    """The tests of all crates. Those that need a server say that they are skipped where it cannot be had."""
    for name, server in (("DRUMFIRE_NATS_SERVER", tools.nats_server), ("DRUMFIRE_S3_SERVER", tools.s3_server)):
        try:
            os.environ[name] = str(server())
        except tools.Unavailable as unavailable:
            print(f"no {name}: {unavailable}", flush=True)
    return ["cargo", "test", "--workspace", "--locked", "--no-fail-fast"]


def fuzz(target: str) -> Callable[[], list[str]]:
    """A bounded run of one fuzz target from the committed seeds."""

    def command() -> list[str]:
        use(tools.cargo_fuzz())
        corpus = ROOT / "fuzz" / "corpus" / target
        corpus.mkdir(parents=True, exist_ok=True)
        places = [str(corpus), str(ROOT / "fuzz" / "seeds" / target)]
        bounds = [f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=2048"]
        quiet = ["-verbosity=0", "-print_final_stats=1"]
        return ["cargo", "fuzz", "run", target, *places, "--", *bounds, *quiet]

    return command


def artillery() -> list[str]:
    """The real Artillery and Drumfire on the same scripts."""
    compare = ROOT / "tests" / "artillery" / "compare.py"
    return [sys.executable, str(compare), "--artillery", str(tools.artillery()), "--drumfire", str(DRUMFIRE)]


def fuzz_targets() -> list[str]:
    """The names of the fuzz targets: their files' names."""
    return sorted(path.stem for path in (ROOT / "fuzz" / "fuzz_targets").glob("*.rs"))


def checks() -> list[Check]:
    """The table: cheap ones first, so that a slip is told early."""
    return [
        Check("format", cargo("fmt", "--all", "--check"), 120),
        Check("format of fuzz", cargo("fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"), 120),
        Check("documents", script("scripts/documents.py"), 60),
        Check("absences", script("scripts/absences.py"), 600),
        Check("deny", deny, 600),
        Check("clippy", cargo("clippy", "--workspace", "--all-targets", "--locked", "--keep-going", "--", "-D", "warnings"), 3600),
        Check("docs", cargo("doc", "--workspace", "--no-deps", "--locked", "--keep-going"), 1800, {"RUSTDOCFLAGS": "-D warnings"}),
        Check("tests", tests, 3600),
        Check("build", cargo("build", "--release", "--locked", "-p", "drumfire-cli"), 3600),
        Check("examples", script("scripts/demo.py", "--check", "--binary", str(DRUMFIRE)), 300),
        *(Check(f"fuzz {name}", fuzz(name), 2400, {"RUSTC_BOOTSTRAP": "1"}) for name in fuzz_targets()),
        Check("artillery", artillery, 3600),
    ]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", help="only checks whose names start so")
    names = tuple(options.parse_args().names)
    tally = Tally()
    for check in checks():
        if not names or check.name.startswith(names):
            perform(check, tally)
    report(tally)
    return 1 if tally.failed or (FORBID_SKIPS and tally.skipped) else 0


def perform(check: Check, tally: Tally) -> None:
    """Runs one check and adds what it says to the tally."""
    print(f"\n== {check.name}", flush=True)
    try:
        command = check.command()
    except tools.Unavailable as unavailable:
        tally.skipped.append(f"{check.name}: {unavailable}")
        print(f"skipped: {unavailable}", flush=True)
        return
    started = time.monotonic()
    code, lines = run(check, command)
    seconds = time.monotonic() - started
    passed, failed, skipped = counted(lines)
    if code != 0 and failed == 0:
        failed = 1
    if code == 0 and passed + failed + len(skipped) == 0:
        passed = 1
    tally.passed += passed
    tally.failed += [f"{check.name}: {reason}" for reason in reasons(code, lines, failed)]
    tally.skipped += [f"{check.name}: {name}" for name in skipped]
    print(f"-- {check.name}: {'failed' if failed else 'passed'} in {seconds:.0f} s", flush=True)


def run(check: Check, command: list[str]) -> tuple[int, list[str]]:
    """The command's exit code and lines, which are shown as they come."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | check.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    deadline = threading.Timer(check.limit_s, stop, [process, check.limit_s])
    deadline.start()
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        # Only the closing line of all checks stands alone on a line.
        indent = "  " if OWN_COUNT.match(lines[-1]) else ""
        print(indent + lines[-1], flush=True)
    code = process.wait()
    deadline.cancel()
    return code, lines


def stop(process: subprocess.Popen, limit_s: int) -> None:
    """Ends a check that hangs, with everything it started."""
    print(f"stopped after {limit_s} s", flush=True)
    os.killpg(process.pid, signal.SIGKILL)


def counted(lines: list[str]) -> tuple[int, int, list[str]]:
    """What the lines say was passed, failed and (by name) skipped."""
    passed, failed, skipped = 0, 0, []
    for line in lines:
        if match := CARGO_COUNT.match(line) or OWN_COUNT.match(line):
            passed += int(match[1])
            failed += int(match[2])
        elif match := SKIPPED.match(line):
            skipped.append(match[1])
    return passed, failed, skipped


def reasons(code: int, lines: list[str], failed: int) -> list[str]:
    """What failed, by name as far as the output has names: as many as there are failures."""
    named = [match[match.lastindex] for line in lines if (match := FAILED.match(line))]
    unnamed = f"ended with {code}"
    return (named + [unnamed] * failed)[:failed]


def report(tally: Tally) -> None:
    """The closing lines; the very last is the count."""
    print("\n== summary")
    for name in dict.fromkeys(tally.failed):
        print(f"failed: {name}")
    for name in tally.skipped:
        print(f"skipped: {name}{' (forbidden here)' if FORBID_SKIPS else ''}")
    skipped = f", {len(tally.skipped)} skipped" if tally.skipped else ""
    print(f"{tally.passed} passed, {len(tally.failed)} failed{skipped}", flush=True)


def use(folder: pathlib.Path) -> None:
    """Puts a folder of programs first on the path."""
    paths = os.environ.get("PATH", "").split(os.pathsep)
    if str(folder) not in paths:
        os.environ["PATH"] = os.pathsep.join([str(folder), *paths])


if __name__ == "__main__":
    sys.exit(main())
