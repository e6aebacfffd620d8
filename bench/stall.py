"""The truth about a target that stalls one second in every five, with many connections and with ten.

At a steady rate over whole periods, a fifth of the requests arrive in a stall and wait what is left of
it: mean 100 ms, p90 500, p95 750, p99 950 from the intended start, whatever the connections.
"""

import json
import re
import tempfile
from pathlib import Path

import install
import process
import result
import scripts
import server

RATE = 100
SECONDS = 20
STALL = "1s/5s"
FEW = 10
TRUTH_MS = {"mean": 100.0, "p90": 500.0, "p95": 750.0, "p99": 950.0}
WITHIN = 0.02


def measure(report, options):
    """Drumfire against the schedule, and its peers beside it."""
    rows = []
    for name, pool in (("drumfire run, a connection each", None), (f"drumfire run, pool {FEW}", FEW)):
        service, intended = drumfire(options, pool)
        rows.append([f"{name}: from the intended start", *shown(intended)])
        rows.append([f"{name}: service time", *shown(service)])
        report.figures[name] = {"service": service, "intended": intended}
        for key, truth_ms in TRUTH_MS.items():
            off = abs(intended[key] / truth_ms - 1) * 100
            report.goal(f"{name}: {key} off the truth", off, WITHIN * 100, " %")
    for name, tool in peers(options):
        found = tool()
        rows.append([name, *shown(found)])
        report.figures[name] = found
    rows.append(["the schedule's truth", *shown(TRUTH_MS)])
    title = f"{RATE} requests a second for {SECONDS} s, a target that stalls {STALL}, ms"
    report.table(title, ["", *TRUTH_MS], rows)


def shown(values):
    return ["–" if values.get(key) is None else f"{values[key]:.4g}" for key in TRUTH_MS]


def drumfire(options, pool):
    """Service time and time from the intended start, in milliseconds."""

    def command(url, folder):
        path = scripts.write(folder, scripts.open_load(url, RATE, SECONDS, pool))
        return scripts.drumfire(options.drumfire, path, "--json", folder / "result.json")

    def read(_output, folder):
        endpoints = result.read(folder / "result.json")["total"]["endpoints"].values()
        return [
            milliseconds(result.Histogram(*(endpoint.get(key) for endpoint in endpoints)))
            for key in ("service_us", "intended_us")
        ]

    return against_stalls(options, command, read)


def milliseconds(histogram):
    return {
        "mean": histogram.mean() / 1e3,
        **{f"p{part}": histogram.quantile(part / 100) / 1e3 for part in (90, 95, 99)},
    }


def against_stalls(options, command, read):
    """Runs a tool against a target that stalls, and reads what it says."""
    with tempfile.TemporaryDirectory(prefix="drumfire-bench-") as name:
        folder = Path(name)
        with server.Target(options.drumfire, "--stall", STALL, "--workers", "1") as target:
            usage = process.run(command(target.url, folder))
        if usage.status != 0:
            raise SystemExit(f"status {usage.status}: {usage.output[-2000:]}")
        return read(usage.output, folder)


def peers(options):
    """Those that pace at a rate and can be had, each with ten connections."""

    def oha(*more):
        def command(url, _folder):
            load = ["-q", RATE, "-z", f"{SECONDS}s", "-c", FEW, *more, "--output-format", "json"]
            return [install.find("oha"), "--no-tui", *load, url + "/"]

        return lambda: against_stalls(options, command, oha_says)

    if install.find("oha"):
        yield f"oha -c {FEW}", oha()
        yield f"oha -c {FEW} --latency-correction", oha("--latency-correction")
    if install.find("k6"):
        yield f"k6, {FEW} users", lambda: against_stalls(options, k6, k6_says)


def oha_says(output, _folder):
    report = json.loads(output[output.find("{") :])
    parts = report["latencyPercentiles"]
    return {
        "mean": report["summary"]["average"] * 1e3,
        **{key: parts[key] * 1e3 for key in ("p90", "p95", "p99")},
    }


def k6(url, folder):
    path = folder / "script.js"
    path.write_text(
        'import http from "k6/http";\n'
        'export const options = {summaryTrendStats: ["avg", "p(90)", "p(95)", "p(99)"],\n'
        f'  scenarios: {{all: {{executor: "constant-arrival-rate", rate: {RATE}, timeUnit: "1s",\n'
        f'  duration: "{SECONDS}s", preAllocatedVUs: {FEW}, maxVUs: {FEW}}}}}}};\n'
        f'export default function () {{ http.get("{url}/"); }}\n'
    )
    summary = folder / "summary.json"
    run = ["run", "--quiet", "--no-usage-report", "--summary-export", summary]
    return [install.find("k6"), *run, path]


def k6_says(_output, folder):
    values = json.loads((folder / "summary.json").read_text())["metrics"]["http_req_duration"]
    return {re.sub(r"p\((\d+)\)", r"p\1", key).replace("avg", "mean"): values[key] for key in values}
