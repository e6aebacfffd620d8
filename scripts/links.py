#!/usr/bin/env python3
"""Follows every relative link of the project's Markdown, anchors included, and every `path` that ARCHITECTURE.md
names: a document that points nowhere fails. Closes with `N passed, N failed`.
"""

import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"^[a-z]+:")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NAMED_PATH = re.compile(r"`((?:crates|scripts|fuzz|examples|docs|tests|bench)/[\w./-]+)`")


def main() -> int:
    passed, failed = 0, 0
    for document in documents():
        broken = list(broken_links(document))
        for link in broken:
            print(f"FAIL: {document.relative_to(ROOT)}: {link} leads nowhere")
        passed += not broken
        failed += bool(broken)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def documents() -> list[pathlib.Path]:
    """The Markdown under version control."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return [path for name in sorted(listing.stdout.splitlines()) if (path := ROOT / name).exists()]


def broken_links(document: pathlib.Path) -> Iterator[str]:
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        if not ELSEWHERE.match(link) and not leads_somewhere(document, link):
            yield link
    for named in NAMED_PATH.findall(text):
        if not (ROOT / named).exists():
            yield named


def leads_somewhere(document: pathlib.Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    place = (document.parent / path).resolve() if path else document
    if not place.exists():
        return False
    return not anchor or place.suffix != ".md" or anchor in anchors(place)


def anchors(document: pathlib.Path) -> set[str]:
    """The anchors that a Markdown page's headings make."""
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


if __name__ == "__main__":
    sys.exit(main())
