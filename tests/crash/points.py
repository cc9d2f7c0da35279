#!/usr/bin/env python3
"""Is every fault point of the sources passed by some test?

points.py FILE: FILE holds names that were passed, one a line (from
WALDEN_FAULT_LIST and crash.py --passed).  A point that no test of `make test`
passes is listed here with its reason.
"""

import pathlib
import sys

import crash

EXCUSED = {
    # name: why no test of make test passes it, and what does
}


def main():
    passed = set(pathlib.Path(sys.argv[1]).read_text().split())
    names = set(crash.fault_points(("storage", "server", "replication")))
    missing = sorted(names - passed - set(EXCUSED))
    stale = sorted(set(EXCUSED) - names)
    for name in missing:
        print(f"FAIL fault point {name}: no test passes it")
    for name in stale:
        print(f"FAIL fault point {name}: is excused and does not exist")
    if not missing and not stale:
        print(f"ok   fault points: {len(names)} passed, "
              f"{len(EXCUSED)} excused")
    print(f"{0 if missing or stale else 1} passed, "
          f"{1 if missing or stale else 0} failed")
    return 1 if missing or stale else 0


if __name__ == "__main__":
    sys.exit(main())
