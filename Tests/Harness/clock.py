"""A wall clock that tests set (libfaketime)."""

import glob
import os

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)


class Clock:
    """A clock that a running process reads and that can be set.

    A service reads it as Service(env=clock.env, launcher=["env"]): the library puts a variable into the environment of the
    first process that it is loaded into, which moves the environment to another place, where Swift's runtime does not find
    the arguments before it. `env` takes that on itself.
    """

    def __init__(self, file):
        assert LIBRARY, "libfaketime is missing; scripts/setup.sh test installs it"
        self.file = file
        self.set(0)
        self.env = {
            "LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def set(self, seconds):
        """So many seconds ahead of the truth."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        os.replace(new, self.file)
