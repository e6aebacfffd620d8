"""What a request costs each tool: CPU-seconds per 100,000 keep-alive GETs, and memory.

Generator and server have a core each. Runs are interleaved (round robin over tools and connection
counts, several rounds) and medians are shown, so that a machine that is busy for a while hits all
tools alike. Each tool's own count is checked against the server's.
"""

import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import install
import peers
import process
import publish
import scripts
import server

CONNECTIONS = (1, 10, 100, 1_000, 10_000)
PER = 100_000


@dataclass
class Run:
    """One run of one tool."""

    user_s: float
    system_s: float
    rss_mb: float
    rate: float
    server_busy: float
    counted_off: float  # its own count beside the server's, as a part

    @property
    def cpu_s(self):
        return self.user_s + self.system_s


def measure(report, options):
    """All tools over all connection counts."""
    tools = chosen(options)
    runs = kept(report, tools, options) if options.keep else {}
    with server.Target(options.drumfire, "--fast") as target:
        interleave(runs, [t for t in tools if t.name in peers.PLAIN], target, options)
    secure = [tool for tool in tools if tool.name in peers.SECURE]
    if secure and server.Nginx.missing():
        report.note(f"HTTPS and HTTP/2 skipped: no {' and no '.join(server.Nginx.missing())}")
    elif secure:
        with server.Nginx() as nginx:
            interleave(runs, secure, nginx, options)
    show(report, runs, options)
    judge(report, runs)


def kept(report, tools, options):
    """What the last run found of tools and connection counts that are not measured now."""
    found = json.loads((publish.RESULTS / "cost.json").read_text())["figures"]
    measured = {tool.name for tool in tools}
    counts = options.connections or CONNECTIONS
    runs = {}
    for key, those in found.items():
        name, count = key.rsplit("/", 1)
        if name not in measured or int(count) not in counts:
            runs[name, int(count)] = [Run(**one) for one in those]
    report.note(
        f"Measured together last: {', '.join(sorted(measured))} at {', '.join(map(str, counts))} "
        "connections; the rest stands from an earlier run on the same machine."
    )
    return runs


def chosen(options):
    """The tools asked for that are there."""
    names = options.tools or list(peers.TOOLS)
    tools = [peers.TOOLS[name] for name in names]
    return [t for t in tools if t.needs == "drumfire" or install.find(t.needs)]


def interleave(runs, tools, target, options):
    """Round by round, so that each tool meets the same weather."""
    for round_number in range(options.rounds):
        for connections in options.connections or CONNECTIONS:
            for tool in tools:
                if connections > tool.most_connections:
                    continue
                try:
                    run = one(tool, connections, target, options)
                except (RuntimeError, KeyError, ValueError, OSError) as error:
                    print(f"{tool.name} at {connections}: {error}", flush=True)
                    continue
                runs.setdefault((tool.name, connections), []).append(run)
                print(
                    f"round {round_number + 1}: {tool.name:16} {connections:6} connections"
                    f" {run.cpu_s:7.3f} CPU-s per 100 k ({run.user_s:.3f} + {run.system_s:.3f}),"
                    f" {run.rate:8.0f}/s, {run.rss_mb:5.0f} MB,"
                    f" server {run.server_busy:4.0%}, count {run.counted_off:+.2%}",
                    flush=True,
                )


def one(tool, connections, target, options):
    """Runs a tool once."""
    with tempfile.TemporaryDirectory(prefix="drumfire-bench-") as name:
        folder = Path(name)
        rows = scripts.write_rows(folder)
        job = peers.Job(target.url, connections, options.seconds, folder, options.drumfire, rows)
        command = tool.command(job)
        target.reset()
        busy_s = target.cpu_s()
        usage = process.run(command, environment=tool.environment)
        busy_s = target.cpu_s() - busy_s
        seen = target.requests()
        if usage.status != 0:
            words = usage.output.strip().splitlines()
            raise RuntimeError(f"status {usage.status}: {words[-1] if words else 'no output'}")
        counted = tool.requests(usage.output, job)
    if not seen or counted is None:
        raise RuntimeError(f"it counts {counted} requests, the server {seen}")
    per = PER / seen
    return Run(
        usage.user_s * per,
        usage.system_s * per,
        usage.rss_bytes / 1e6,
        seen / usage.wall_s,
        busy_s / usage.wall_s,
        counted / seen - 1,
    )


def median(runs, key, figure="cpu_s"):
    """The median of a figure over the rounds, or None."""
    values = [getattr(run, figure) for run in runs.get(key, [])]
    return statistics.median(values) if values else None


def show(report, runs, options):
    """The tables."""
    counts = sorted({count for _, count in runs})
    names = [name for name in peers.TOOLS if any((name, c) in runs for c in counts)]

    def rows(figure, digits):
        for name in names:
            values = [median(runs, (name, count), figure) for count in counts]
            yield [name, *("" if v is None else f"{v:.{digits}f}" for v in values)]

    head = ["tool", *(f"{count:,} conn" for count in counts)]
    report.table("CPU-seconds per 100,000 requests, user + system", head, list(rows("cpu_s", 2)))
    report.table("of these in user space", head, list(rows("user_s", 2)))
    report.table("requests per second (process start to end)", head, list(rows("rate", 0)))
    report.table("peak memory, MB", head, list(rows("rss_mb", 0)))
    report.table("server's core busy, part", head, list(rows("server_busy", 2)))
    for (name, count), found in runs.items():
        off = statistics.median(run.counted_off for run in found)
        if abs(off) > 0.01 + count / 1e5:
            report.note(f"{name} at {count}: its own count is {off:+.1%} beside the server's")
    report.figures = {
        f"{name}/{count}": [vars(run) for run in found] for (name, count), found in runs.items()
    }


def judge(report, runs):
    """The goals of the issue."""

    def ratio(ours, theirs, connections=100):
        mine, other = median(runs, (ours, connections)), median(runs, (theirs, connections))
        return mine / other if mine and other else None

    report.goal(
        "drumfire run beside wrk, 100 connections", ratio("drumfire run", "wrk"), 0.85, " ×"
    )
    report.goal(
        "drumfire run beside artillery, 100 connections",
        ratio("drumfire run", "artillery"),
        1 / 50,
        " ×",
    )
    report.goal(
        "header, capture, CSV row and expect beside wrk's plain GET",
        ratio("drumfire script", "wrk"),
        1.3,
        " ×",
    )
    report.goal("HTTPS beside h2load", ratio("drumfire https", "h2load https"), 1.0, " ×")
    report.goal("HTTP/2 beside h2load", ratio("drumfire h2", "h2load h2"), 1.0, " ×")
    spread = [median(runs, ("drumfire run", count)) for count in CONNECTIONS if count >= 10]
    spread = [value for value in spread if value]
    report.goal(
        "dearest beside cheapest, 10 to 10,000 connections",
        max(spread) / min(spread) if len(spread) > 1 else None,
        2.0,
        " ×",
    )
