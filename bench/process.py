"""Starts a program on one core and says what it cost: CPU time of its whole tree, peak memory, time.

CPU time is what wait4 says once the program has ended, so it holds every child that was waited
for. Memory is the largest sum of VmHWM over the tree, read every few milliseconds while it runs:
the maximum that wait4 reports also holds what the forked harness itself was using.
"""

import os
import resource
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.02

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = CORES[0]
GENERATOR_CORE = CORES[1] if len(CORES) > 1 else CORES[0]


# What is started here goes before everything else on the machine: `run.py --urgent` sets it.
URGENT_PRIORITY = os.sched_param(1)
urgent = False


@dataclass
class Usage:
    """What one run of a program took."""

    status: int
    user_s: float
    system_s: float
    wall_s: float
    rss_bytes: int
    output: str

    @property
    def cpu_s(self):
        return self.user_s + self.system_s


def run(command, cores=(GENERATOR_CORE,), timeout_s=180, environment=None, folder=None, watch=None):
    """Runs to the end, or ends it (and its children) after `timeout_s`; `watch` is called at each poll."""
    with tempfile.TemporaryFile() as output:
        started_s = time.monotonic()
        child = start(command, cores, environment, folder, output)
        rss_bytes = 0
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            rss_bytes = max(rss_bytes, tree_rss_bytes(child.pid))
            if watch:
                watch(child.pid)
            if time.monotonic() - started_s > timeout_s:
                os.killpg(child.pid, signal.SIGKILL)
            time.sleep(POLL_S)
        wall_s = time.monotonic() - started_s
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Usage(child.returncode, usage.ru_utime, usage.ru_stime, wall_s, rss_bytes, text)


def start(command, cores, environment=None, folder=None, output=subprocess.DEVNULL):
    """Starts a program in a process group of its own, with as many descriptors as are allowed."""

    def prepare():
        os.sched_setaffinity(0, set(cores))
        if urgent:
            os.sched_setscheduler(0, os.SCHED_RR, URGENT_PRIORITY)
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    return subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
        cwd=folder,
        start_new_session=True,
        preexec_fn=prepare,
    )


def stop(child, patience_s=5):
    """Ends a program that was started here."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(patience_s)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def kill(child):
    """Ends a program that was started here, and what it started, at once."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def tree_rss_bytes(pid):
    """The sum of the largest resident sets that the live processes of a tree had so far."""
    total, waiting = 0, [pid]
    while waiting:
        folder = Path("/proc") / str(waiting.pop())
        try:
            for line in (folder / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1]) * 1024
            for task in (folder / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def idle_s(core):
    """How long a core has done nothing so far."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            idle, waiting = line.split()[4:6]
            return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")
    raise ValueError(f"there is no core {core}")


def rss_bytes(pid):
    """The resident set of a live process now."""
    pages = int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid):
    """User and system time of a live process so far."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
