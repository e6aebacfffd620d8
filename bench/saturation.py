"""Whether a generator that is the limit says so, and one that is not never does."""

import os
import signal
import tempfile
import time
from pathlib import Path

import process
import result
import scripts
import server

HEALTHY_RUNS = 10
HEALTHY = {"rate": 1_000, "duration_s": 3}
# More than one core can start, whatever the core.
TOO_MUCH = {"rate": 500_000, "duration_s": 3}
FROZEN_FROM_S, FROZEN_S = 1.2, 0.7


def measure(report, options):
    """Healthy runs, then the ways to be too slow."""
    rows = []
    healthy = [run(options, **HEALTHY) for _ in range(HEALTHY_RUNS)]
    false_alarms = [found for found in healthy if found["saturations"]]
    rows.append([f"{HEALTHY_RUNS} healthy runs, {HEALTHY['rate']:,}/s", *row(healthy)])
    report.judged("healthy runs that are flagged", str(len(false_alarms)), "0", not false_alarms)
    for name, found in (
        (f"{TOO_MUCH['rate']:,}/s on one core", run(options, **TOO_MUCH)),
        (f"stopped for {FROZEN_S} s in mid-run", run(options, **HEALTHY, freeze=True)),
    ):
        rows.append([name, *row([found])])
        flagged = bool(found["saturations"])
        report.judged(f"{name}: flagged", str(len(found["saturations"])), "≥ 1", flagged)
        report.judged(
            f"{name}: planned = started + dropped",
            f"{found['planned']:,}",
            f"{found['started'] + found['dropped']:,}",
            found["planned"] == found["started"] + found["dropped"],
        )
    head = ["run", "planned", "started", "dropped", "flagged", "late p99 ms"]
    report.table("Saturation", head, rows)
    report.figures = {"healthy": healthy, "false_alarms": len(false_alarms)}


def row(found):
    total = {key: sum(one[key] for one in found) for key in ("planned", "started", "dropped")}
    flagged = sum(bool(one["saturations"]) for one in found)
    late_ms = max(one["late_p99_us"] for one in found) / 1e3
    return [*(f"{n:,}" for n in total.values()), flagged, f"{late_ms:.2f}"]


def run(options, rate, duration_s, freeze=False):
    """One run on one core, frozen for a while if asked."""
    started_s = time.monotonic()
    state = {"frozen": False, "done": False}

    def watch(pid):
        since_s = time.monotonic() - started_s
        if freeze and not state["done"]:
            if not state["frozen"] and since_s > FROZEN_FROM_S:
                os.kill(pid, signal.SIGSTOP)
                state["frozen"] = True
            elif state["frozen"] and since_s > FROZEN_FROM_S + FROZEN_S:
                os.kill(pid, signal.SIGCONT)
                state["done"] = True

    with tempfile.TemporaryDirectory(prefix="drumfire-bench-") as name:
        folder = Path(name)
        with server.Target(options.drumfire, "--fast") as target:
            path = scripts.write(folder, scripts.open_load(target.url, rate, duration_s, 100))
            output = folder / "result.json"
            command = scripts.drumfire(options.drumfire, path, "--json", output)
            command += ["--max-duration", f"{duration_s * 4}s"]
            usage = process.run(command, watch=watch)
        if not output.exists():
            raise SystemExit(f"drumfire ended with {usage.status}: {usage.output[-2000:]}")
        file = result.read(output)
    iterations = file["total"]["iterations"]
    return {
        "planned": file["facts"]["planned"],
        "started": iterations["started"],
        "dropped": sum(iterations.get("dropped", {}).values()),
        "saturations": file["verdict"]["saturations"],
        "late_p99_us": result.Histogram(iterations.get("lateness_us")).quantile(0.99),
    }
