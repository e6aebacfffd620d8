"""How close together the agents of a cluster start, and how soon a failed check stops them, as their target sees it.

Three agents meet at a real nats-server. The target notes when each arrival of the schedule comes, and from which
agent: an agent began as late as half of its requests are at most after their instants. In time namespaces the
agents' clocks, of which they have the monotonic one only, are shifted by up to 50 ms.
"""

import ctypes
import os
import statistics
import sys
import tempfile
import threading
from pathlib import Path

import process
import publish
import recorder
import result
import scripts
import server

sys.path.append(str(publish.PROJECT / "scripts"))
import tools  # noqa: E402

AGENTS = 3
STARTS = 10
RATE = 150
CASES = {"one host": ((0, 0, 0), 1), "clocks 50 ms apart, twice": ((-50, 0, 50), 5)}

ABORTS = 5
ABORT_S = 30
ABORT_WITHIN_S = 2

CLONE_NEWTIME = 0x80


def measure(report, options):
    """Starts of both kinds, and aborts."""
    try:
        nats_server = tools.nats_server()
    except tools.Unavailable as reason:
        return report.judged(f"start skew: {reason}", "not measured", "", None)
    rows = []
    for name, (shifts_ms, limit_ms) in CASES.items():
        try:
            found = starts(options, nats_server, shifts_ms)
        except OSError as reason:
            report.judged(f"start skew, {name}: {reason}", "not measured", f"≤ {limit_ms} ms", None)
            continue
        report.figures[name] = found
        for what in ("all requests", "first requests"):
            values = [one[what] for one in found]
            rows.append([f"{name}, {what}", *spread(values)])
            report.goal(f"start skew, {name}, {what}: median", statistics.median(values), limit_ms, " ms")
        rows.append([f"{name}, as reported", *spread([one["reported"] for one in found])])
        rows.append([f"{name}, error as reported", *spread([one["error"] for one in found])])
    title = f"Between the first and the last of {AGENTS} agents, {STARTS} starts, ms"
    report.table(title, ["", "least", "median", "most"], rows)
    took = [abort(options, nats_server, number) for number in range(ABORTS)]
    report.figures["aborts_s"] = took
    title = f"From the first failed answer to the last request of any agent, {ABORTS} runs, s"
    report.table(title, ["", "least", "median", "most"], [["abortOnFail", *spread(took)]])
    report.goal("a failed check stops all agents: the slowest", max(took), ABORT_WITHIN_S, " s")


def spread(values):
    return [f"{value:.3f}" for value in (min(values), statistics.median(values), max(values))]


class Cluster:
    """A broker and agents, each of which sends from an address of its own."""

    def __init__(self, options, nats_server, shifts_ms):
        self.drumfire, self.children = options.drumfire, []
        self.folder = tempfile.TemporaryDirectory(prefix="drumfire-bench-")
        port = server.free_port()
        self.nats = ["--nats", f"nats://127.0.0.1:{port}"]
        command = [nats_server, "-a", "127.0.0.1", "-p", port, "-js", "-sd", self.folder.name]
        self.children.append(process.start(command, process.CORES))
        server.wait_for(port, self.children[0])
        for number, shift_ms in enumerate(shifts_ms):
            name = ["--agent-name", f"agent-{number}", "--local-ip", f"127.0.0.{number + 2}"]
            command = [self.drumfire, "agent", *self.nats, *name, "--shards", 1]
            start_shifted(shift_ms, command, self.children)

    def run(self, script, status=0):
        """Runs a script to its end; what the coordinator reports."""
        folder = Path(self.folder.name)
        path = scripts.write(folder, script)
        command = [self.drumfire, "coordinator", path, *self.nats, "--agents", AGENTS]
        command += ["--json", folder / "result.json"]
        usage = process.run(command, process.CORES)
        if usage.status != status:
            raise SystemExit(f"status {usage.status}: {usage.output[-2000:]}")
        return result.read(folder / "result.json")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            process.stop(child)
        self.folder.cleanup()


def start_shifted(shift_ms, command, children):
    """Starts a program whose monotonic clock is ahead by so much; adds it to the children."""
    if shift_ms == 0:
        return children.append(process.start(command, process.CORES))
    failures = []

    def start():
        # It is this thread's children alone that go to another time.
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWTIME):
            number = ctypes.get_errno()
            return failures.append(OSError(number, os.strerror(number)))
        seconds, rest_ms = divmod(shift_ms, 1_000)
        offsets = Path(f"/proc/{threading.get_native_id()}/timens_offsets")
        offsets.write_text(f"monotonic {seconds} {rest_ms * 1_000_000}")
        children.append(process.start(command, process.CORES))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def numbered(url, seconds, folder, **config):
    """A script whose arrivals ask for their own numbers."""
    rows = folder / "numbers.csv"
    rows.write_text("".join(f"{number}\n" for number in range(seconds * RATE)))
    script = scripts.open_load(url, RATE, seconds)
    payload = {"path": str(rows), "fields": ["number"], "order": "sequence"}
    script["config"] |= {"payload": payload, **config}
    script["scenarios"] = [{"flow": [{"get": {"url": "/{{ number }}"}}]}]
    return script


def starts(options, nats_server, shifts_ms):
    """Skews in milliseconds of several starts on the same agents."""
    found = []
    with Cluster(options, nats_server, shifts_ms) as cluster:
        for _ in range(STARTS):
            with recorder.Recorder() as target:
                folder = Path(cluster.folder.name)
                file = cluster.run(numbered(target.url, 1, folder, http={"pool": 2}))
            told = file["agents"]["start_skew"]
            late = lateness_ms(target.requests)
            found.append(
                {
                    "all requests": apart(statistics.median(of) for of in late.values()),
                    "first requests": apart(of[0] for of in late.values()),
                    "reported": told["skew_ns"] / 1e6,
                    "error": told["error_ns"] / 1e6,
                }
            )
    return found


def lateness_ms(requests):
    """How late each agent's requests are after their instants; only differences mean something."""
    late = {}
    for request in sorted(requests, key=lambda request: request.arrival):
        late_ms = request.at_ns / 1e6 - request.arrival * 1e3 / RATE
        late.setdefault(request.source, []).append(late_ms)
    if len(late) != AGENTS:
        raise SystemExit(f"{len(late)} of {AGENTS} agents took part")
    return late


def apart(values):
    values = list(values)
    return max(values) - min(values)


def abort(options, nats_server, number):
    """Seconds from the first failed answer, each time in another part of a second, to the last request."""
    conditions = [{"expression": "http.codes.500 < 1", "abortOnFail": True}]
    plugins = {"ensure": {"conditions": conditions}}
    fail_from = 2 * RATE + number * RATE // ABORTS
    with Cluster(options, nats_server, (0,) * AGENTS) as cluster:
        with recorder.Recorder(fail_from) as target:
            script = numbered(target.url, ABORT_S, Path(cluster.folder.name), plugins=plugins)
            cluster.run(script, status=20)
    failed_ns = min(request.at_ns for request in target.requests if request.failed)
    return (max(request.at_ns for request in target.requests) - failed_ns) / 1e9
