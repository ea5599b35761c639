"""The examples of the documents, so that tests can run them."""

from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page):
    """The indented blocks of a page; empty lines between indented ones belong to a block."""
    found, block = [], []
    for line in (DOCS / page).read_text().splitlines() + ["end"]:
        if line.startswith("    "):
            block.append(line[4:])
        elif not line and block:
            block.append("")
        elif block:
            found.append("\n".join(block).rstrip())
            block = []
    return found
