#!/usr/bin/env python3
"""Holds the documents against the project: every relative link leads somewhere, anchors included, as does every
path they name; every error code and every key that scripts may have stands in the reference. Closes with
`N passed, N failed`.
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


# Lists of names in the sources, and the page that must have each of them.
LISTED = {
    "crates/drumfire-protocols/src/failure.rs": (r'^    \w+ = "([^"]+)",$', "docs/reference/metrics.md"),
    "crates/drumfire-artillery/src/lower": (r"const \w*KEYS: \[&str; \d+\] =\s*\[(.*?)\];", "docs/reference/artillery.md"),
    "crates/drumfire-artillery/src/payload.rs": (r"const KEYS: \[&str; \d+\] =\s*\[(.*?)\];", "docs/reference/artillery.md"),
}


def main() -> int:
    passed, failed = 0, 0
    for claim, objections in claims():
        print(f"{'FAIL' if objections else 'ok'}: {claim}")
        for objection in objections:
            print(f"  {objection}")
        passed += not objections
        failed += bool(objections)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def claims() -> Iterator[tuple[str, list[str]]]:
    """Every claim, with what speaks against it."""
    for document in documents():
        yield f"all that {document.relative_to(ROOT)} points at is there", list(broken_links(document))
    for source, (pattern, page) in LISTED.items():
        text = (ROOT / page).read_text(encoding="utf-8")
        known = set(re.findall(r"[\w-]+", " ".join(re.findall(r"`([^`]+)`", text))))
        yield f"{page} names all of {source}", sorted(names(ROOT / source, pattern) - known)


def names(source: pathlib.Path, pattern: str) -> set[str]:
    """The names that a source lists: a match is one of them, or a list of them in quotes."""
    files = sorted(source.rglob("*.rs")) if source.is_dir() else [source]
    found = set()
    for file in files:
        for match in re.findall(pattern, file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            found.update(re.findall(r'"([^"]+)"', match) or [match])
    return found


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
