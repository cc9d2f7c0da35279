"""A short differential run from a fixed seed, so that pytest alone shows it."""

import pathlib
import subprocess
import sys

from conftest import BINARY

DRIVER = (pathlib.Path(__file__).resolve().parent.parent
          / "compat" / "differential.py")


def test_random_commands_as_redis():
    done = subprocess.run(
        [sys.executable, str(DRIVER), "--server", BINARY, "--ops", "20000",
         "--seed", "20", "--shrink-seconds", "20"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        stdin=subprocess.DEVNULL, timeout=180, check=False)
    assert done.returncode == 0, done.stdout
