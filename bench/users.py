"""How many users one process holds, how fast they come, and how soon the first request is out."""

import contextlib
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path

import process
import result
import scripts
import server

GIB = 1 << 30
MIB = 1 << 20
MOST_USERS = 1_000_000
SPAWN_PER_S = 100_000
POOL = 100
STARTS = 7


def measure(report, options):
    """All of it."""
    thinking(report, options)
    connected(report, options)
    first_request(report, options)


def thinking(report, options):
    """Users who come at 100,000 a second, send one GET over a pool and think; all are there at once."""
    seconds = 10 if options.full else 2
    think_s = 60 if options.full else 6
    count = SPAWN_PER_S * seconds
    script = {
        "config": {
            "phases": [{"duration": seconds, "arrivalRate": SPAWN_PER_S}],
            "http": {"pool": POOL},
        },
        "scenarios": [{"flow": [{"think": think_s}, {"get": {"url": "/"}}]}],
    }
    few = run(options, {**script, "config": {**script["config"], "phases": [one_user()]}})
    all_of_them = run(options, script)
    per_user = (all_of_them["rss"] - few["rss"]) / count
    needed = few["rss"] + per_user * MOST_USERS
    spawned = all_of_them["file"]["total"]["iterations"]
    late_us = result.Histogram(spawned["lateness_us"])
    report.table(
        f"{count:,} users think {think_s} s each over a pool of {POOL} connections",
        ["", "measured"],
        [
            ["most users at once", f"{all_of_them['users']:,}"],
            ["started in all", f"{spawned['started']:,}"],
            ["lateness of starts p50 / p99, ms", f"{late_us.quantile(0.5) / 1e3:.2f} / {late_us.quantile(0.99) / 1e3:.2f}"],
            ["requests at the server", f"{all_of_them['requests']:,}"],
            ["peak memory, MiB", f"{all_of_them['rss'] / MIB:.0f}"],
            ["memory with one user, MiB", f"{few['rss'] / MIB:.0f}"],
            ["bytes per user", f"{per_user:.0f}"],
            ["generator CPU, s", f"{all_of_them['cpu_s']:.1f}"],
        ],
    )
    said = "a million users" if options.full else f"a million users, reckoned from {count:,}"
    report.goal(f"memory of {said}", needed / GIB, 2, " GiB")
    held = all_of_them["users"] >= 0.99 * count
    report.judged("users at once", f"{all_of_them['users']:,}", f"{count:,}", held)
    report.goal(
        f"lateness p99 of starts at {SPAWN_PER_S:,} a second",
        late_us.quantile(0.99) / 1e3,
        1_000,
        " ms",
    )
    report.figures["thinking"] = {k: v for k, v in all_of_them.items() if k != "file"}


def one_user():
    return {"duration": 1, "arrivalCount": 1}


def connected(report, options):
    """10,000 users, each with a connection of its own that is kept open."""
    script = {
        "config": {"phases": [{"duration": 2, "arrivalCount": 10_000}]},
        "scenarios": [{"flow": [{"get": {"url": "/"}}, {"think": 6}, {"get": {"url": "/"}}]}],
    }
    found = run(options, script)
    report.table(
        "10,000 users with a connection each",
        ["", "measured"],
        [
            ["connections open at once", f"{found['connections']:,}"],
            ["peak memory, MiB", f"{found['rss'] / MIB:.0f}"],
        ],
    )
    held = found["connections"] >= 9_990
    report.judged("connections at once", f"{found['connections']:,}", "10,000", held)
    report.goal("memory of 10,000 connected users", found["rss"] / MIB, 160, " MiB")
    report.figures["connected"] = {k: v for k, v in found.items() if k != "file"}


def run(options, script):
    """Runs a script against a fresh server and watches both."""
    with tempfile.TemporaryDirectory(prefix="drumfire-bench-") as name:
        folder = Path(name)
        with server.Target(options.drumfire, "--fast") as target:
            script = {**script, "config": {**script["config"], "target": target.url}}
            path = scripts.write(folder, script)
            command = scripts.drumfire(options.drumfire, path, "--json", folder / "result.json")
            most = {"connections": 0, "asked_s": 0.0}

            def watch(_pid):
                if time.monotonic() - most["asked_s"] > 0.25:
                    most["asked_s"] = time.monotonic()
                    stats = target.stats()
                    # One of them is this question's.
                    most["connections"] = max(most["connections"], stats["connections_open"] - 1)

            usage = process.run(command, watch=watch, timeout_s=300)
            requests = target.requests()
        if usage.status != 0:
            raise SystemExit(f"drumfire ended with {usage.status}: {usage.output[-2000:]}")
        file = result.read(folder / "result.json")
    return {
        "rss": usage.rss_bytes,
        "cpu_s": usage.cpu_s,
        "requests": requests,
        "connections": most["connections"],
        "users": max(interval["snapshot"]["health"]["users"] for interval in file["timeline"]),
        "file": file,
    }


def first_request(report, options):
    """From the start of the program to the first connection accepted and the first byte of a request."""
    measured_ms = [start_ms(options.drumfire) for _ in range(STARTS)]
    middle_ms = statistics.median(measured_ms)
    report.table(
        f"start to first request, {STARTS} starts",
        ["", "ms"],
        [["median", f"{middle_ms:.1f}"], ["longest", f"{max(measured_ms):.1f}"]],
    )
    report.goal("start to first request, median", middle_ms, 50, " ms")
    report.figures["start_ms"] = measured_ms


def start_ms(drumfire):
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drumfire-bench-")))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(20)
        first = []

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                first.append(time.monotonic())
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                connection.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        path = scripts.write(folder, scripts.closed(url, 1, 1))
        started_s = time.monotonic()
        child = process.start(scripts.drumfire(drumfire, path), process.CORES)
        thread.join()
        child.wait(20)
    return (first[0] - started_s) * 1e3
