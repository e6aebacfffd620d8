"""Puts figures where people look: a table on the screen, JSON in results/, a page in docs/."""

import json
import platform
import re
import time
from pathlib import Path

import process

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "bench" / "results"
PAGE = PROJECT / "docs" / "benchmarks.md"


class Report:
    """What one benchmark found: tables and judged goals."""

    def __init__(self, name):
        self.name = name
        self.parts = []
        self.passed = True
        self.figures = {}

    def table(self, title, head, rows):
        """A table; the first column is text, the others are figures."""
        self.parts.append((title, head, [[str(cell) for cell in row] for row in rows]))

    def goal(self, text, value, limit, unit="", least=None):
        """Judges a figure: at most `limit`, and at least `least` where given."""
        missing = value is None
        held = not missing and value <= limit and (least is None or value >= least)
        bound = f"≤ {limit:g}{unit}" if least is None else f"{least:g} to {limit:g}{unit}"
        shown = "not measured" if missing else f"{value:.4g}{unit}"
        self.judged(text, shown, bound, None if missing else held)

    def judged(self, text, shown, bound, held):
        """Notes a goal that was judged elsewhere; `None` is one that was not measured."""
        self.passed &= held is not False
        word = {True: "pass", False: "FAIL", None: "skipped"}[held]
        self.parts.append((None, None, [[word, text, shown, bound]]))

    def note(self, text):
        """A sentence of explanation."""
        self.parts.append((text, None, []))

    def finish(self, write_docs):
        """Prints and writes everything."""
        print(self.text(), flush=True)
        RESULTS.mkdir(parents=True, exist_ok=True)
        document = {
            "name": self.name,
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine(),
            "passed": self.passed,
            "figures": self.figures,
            "goals": self.goals(),
        }
        (RESULTS / f"{self.name}.json").write_text(json.dumps(document, indent=2) + "\n")
        if write_docs:
            self.write_page()

    def goals(self):
        return [rows[0] for title, head, rows in self.parts if title is None]

    def text(self):
        """All of it, as columns."""
        lines = [f"\n== {self.name} " + "=" * (70 - len(self.name))]
        for title, head, rows in self.parts:
            if title:
                lines += ["", title]
            if head:
                lines += columns([head, *rows])
        return "\n".join([*lines, "", *columns(self.goals())])

    def markdown(self):
        """All of it, for the page."""
        lines = [f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} on {machine()}."]
        for title, head, rows in self.parts:
            if title:
                lines += ["", title]
            if head:
                lines += ["", *markdown_table(head, rows)]
        goals = [[text, shown, bound, word] for word, text, shown, bound in self.goals()]
        if goals:
            lines += ["", *markdown_table(["goal", "measured", "asked", ""], goals)]
        return "\n".join(lines)

    def write_page(self):
        """Replaces what stands between this benchmark's two marks."""
        page = PAGE.read_text()
        begin, end = f"<!-- begin {self.name} -->", f"<!-- end {self.name} -->"
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        written, found = re.subn(
            pattern, lambda _: f"{begin}\n{self.markdown()}\n{end}", page, flags=re.DOTALL
        )
        if not found:
            raise SystemExit(f"{PAGE}: no place for {self.name}: add {begin} and {end}")
        PAGE.write_text(written)


def columns(rows):
    """Rows with their cells below each other, the first to the left, the others to the right."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 or len(rows[0]) == 4 and i == 1 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        )
        for row in rows
    ]


def markdown_table(head, rows):
    """A table as Markdown has it."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return ["| " + " | ".join(row) + " |" for row in [head, rule, *escaped]]


def machine():
    """What the figures were made on, without its name."""
    model = "an unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{len(process.CORES)} cores of {model}, Linux {platform.release()}"
