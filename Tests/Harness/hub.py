"""The model hub of the Swift suites as a process of its own."""

import json
import subprocess

from service import BINARY


class Hub:
    """Serves folders as repositories, by name: Hub({"owner/gpt2": folder}). `endpoint` is what HF_ENDPOINT is set to.

    `options` close repositories and break downloads; HubServer.swift has them.
    """

    def __init__(self, repositories, *options):
        self.repositories = repositories
        self.options = options

    def __enter__(self):
        program = BINARY.parent / "hub-server"
        assert program.exists(), "hub-server is missing beside the binary; swift build -c release builds it"
        self.process = subprocess.Popen(
            [program, *(f"{name}={folder}" for name, folder in self.repositories.items()), *self.options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=10)

    def requests(self):
        """The requests so far: method, path, `hub` or `store`, range."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())
