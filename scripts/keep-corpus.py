#!/usr/bin/env python3
"""Merges what the fuzzer found interesting into a kept corpus.

    keep-corpus.py FUZZ TARGET FOLDER

libFuzzer's merge keeps the inputs of FOLDER that reach code which no smaller one reaches. Inputs that the corpus names
already stay under their names, and stay although the merge finds them covered when their name is no hash: these are
regressions. At most 48 KiB of text are kept for each target, smallest inputs first.
"""

import base64
import hashlib
import pathlib
import subprocess
import sys
import tempfile

LIMIT = 48 << 10


def main(fuzz: str, target: str, folder: str) -> None:
    kept = pathlib.Path(__file__).parent.parent / "Tests/Fuzz/Corpus" / f"{target}.txt"
    named = {}
    for line in kept.read_text().splitlines() if kept.exists() else []:
        if line and not line.startswith("#"):
            name, text = line.split(" ")
            named[base64.b64decode(text)] = name
    with tempfile.TemporaryDirectory() as merged:
        subprocess.run([fuzz, target, "-merge=1", "-timeout=10", "-rss_limit_mb=2048", merged, folder], check=True,
                       stderr=subprocess.DEVNULL)
        new = [path.read_bytes() for path in pathlib.Path(merged).iterdir()]

    def is_hash(name: str) -> bool:
        return len(name) == 16 and set(name) <= set("0123456789abcdef")

    regressions = [bytes_ for bytes_, name in named.items() if not is_hash(name)]
    lines, size = [], 0
    for data in regressions + sorted(set(new) - set(regressions), key=lambda data: (len(data), data)):
        line = f"{named.get(data) or hashlib.sha256(data).hexdigest()[:16]} {base64.b64encode(data).decode()}"
        if data in regressions or size + len(line) <= LIMIT:
            lines.append(line)
            size += len(line) + 1
    kept.write_text("".join(line + "\n" for line in lines))
    print(f"{target}: {len(lines)} of {len(new)} inputs kept, {size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
