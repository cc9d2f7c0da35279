#!/usr/bin/env python3
"""What `make lint` checks, one function a rule.

Each rule yields complaints, "file:line: text".  The last line printed is
"N passed, N failed", counting rules.  Runs from anywhere in the tree; needs
the objects of the release build (make lint builds them first).
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE_DIRS = ("resp", "storage", "replication", "server")
FLAGS = os.environ.get(
    "CFLAGS_LINT", "-std=c11 -D_GNU_SOURCE -I. -Wall -Wextra -Werror").split()
GCC = os.environ.get("CC", "gcc")
CLANG = os.environ.get("CLANG", "clang")
JOBS = os.cpu_count() or 2

# The layers: which folders a folder may include.  The longest match counts.
LAYERS = {
    "server/base": ("server/base",),
    "resp": ("resp", "server/base"),
    "storage": ("storage", "server/base"),
    "replication": ("replication", "storage", "server/base"),
    "server": ("server", "resp", "storage", "replication"),
    "tests": ("tests", "server", "resp", "storage", "replication"),
}

# And which libraries, by the beginning of the header's name.  A command's
# handler knows neither libevent nor SQLite, nor does anything of the protocol.
LIBRARIES = ("event2/", "event.h", "sqlite3", "hiredis/", "curl/", "lz4",
             "openssl/", "jemalloc/", "lua", "cmocka")
LIBRARY_USERS = {
    "server/base": (),
    "resp": (),
    "storage": ("sqlite3",),
    "storage/objects": (),
    "replication": ("curl/", "lz4", "openssl/", "sqlite3"),
    "server": ("event2/", "event.h", "openssl/", "hiredis/", "lua",
               "jemalloc/", "sqlite3"),
    "server/commands": ("lua",),
    "tests": LIBRARIES,
}

# Exported symbols that do not start with their file's name: pattern of the
# file -> pattern of the symbols.
SYMBOL_EXCEPTIONS = {
    r"server/main\.c": r"main",
    # A family's rows, looked up by server/commands.
    r"server/commands/.*\.c": r"commands?_\w+",
}

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 80


def files(*suffixes, dirs=SOURCE_DIRS + ("tests",)):
    found = []
    for top in dirs:
        for path in (ROOT / top).rglob("*"):
            if path.suffix in suffixes and path.is_file():
                found.append(str(path.relative_to(ROOT)))
    return sorted(found)


def lines_of(name):
    text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
    return text.splitlines()


def longest_match(table, name):
    best = None
    for folder in table:
        if name.startswith(folder + "/") and len(folder) > len(best or ""):
            best = folder
    return table[best] if best is not None else None


def run_all(commands):
    """Run commands, JOBS at a time; yield the output of those that fail."""
    def run(command):
        done = subprocess.run(command, cwd=ROOT, text=True,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for command, (status, output) in zip(commands,
                                             pool.map(run, commands)):
            if status != 0:
                yield output.strip() or "failed: " + " ".join(command)


def rule_format():
    """clang-format would change nothing"""
    everything = files(".c", ".h")
    groups = [everything[i::JOBS] for i in range(JOBS)]
    yield from run_all([["clang-format", "--dry-run", "-Werror"] + group
                        for group in groups if group])


def rule_gcc():
    """gcc has no warning"""
    yield from run_all([[GCC, *FLAGS, "-fsyntax-only", "-O1", name]
                        for name in files(".c")])


def rule_clang():
    """clang has no warning, with the debug build's checks on"""
    yield from run_all([[CLANG, *FLAGS, "-DWALDEN_DEBUG", "-fsyntax-only",
                         name] for name in files(".c")])


def rule_headers():
    """every header compiles alone"""
    yield from run_all([[GCC, *FLAGS, *define, "-fsyntax-only", "-x", "c",
                         "-include", name, "/dev/null"]
                        for name in files(".h")
                        for define in ([], ["-DWALDEN_DEBUG"])])


def rule_guards():
    """header guards are named after the path"""
    for name in files(".h", dirs=SOURCE_DIRS):
        path = name.removesuffix(".h")
        guard = "WALDEN_" + re.sub(r"\W", "_", path).upper() + "_H"
        short = guard.replace("_SERVER_BASE_", "_BASE_")
        text = (ROOT / name).read_text(encoding="utf-8")
        if not any(f"#ifndef {word}\n#define {word}\n" in text
                   for word in (guard, short)):
            yield f"{name}:1: the guard should be {guard}"


def rule_layers():
    """a folder includes only what lies below it"""
    pattern = re.compile(r'\s*#\s*include\s+(["<])([^">]+)[">]')
    for name in files(".c", ".h"):
        allowed = longest_match(LAYERS, name)
        libraries = longest_match(LIBRARY_USERS, name)
        for number, line in enumerate(lines_of(name), 1):
            found = pattern.match(line)
            if not found:
                continue
            kind, header = found.groups()
            if kind == '"':
                if not header.startswith(tuple(d + "/" for d in allowed)):
                    yield f'{name}:{number}: may not include "{header}"'
            elif (header.startswith(LIBRARIES)
                  and not header.startswith(libraries)):
                yield f"{name}:{number}: may not include <{header}>"


def prefix_is_right(name, symbol):
    stem = pathlib.Path(name).stem
    folder = pathlib.Path(name).parent
    # foo_part.c may be a part of foo.c: then it may export foo_* too.
    while True:
        if symbol == stem or symbol.startswith(stem + "_"):
            return True
        if "_" not in stem:
            return False
        stem = stem.rsplit("_", 1)[0]
        if not (ROOT / folder / (stem + ".h")).exists():
            return False


def rule_symbols():
    """foo.c exports foo_* and nothing else"""
    for name in files(".c", dirs=SOURCE_DIRS):
        built = ROOT / "build/obj" / (name.removesuffix(".c") + ".o")
        if not built.exists():
            yield f"{name}:1: is not built: make build/libwalden.a"
            continue
        listing = subprocess.run(
            ["nm", "-g", "--defined-only", "--format=posix", built],
            stdout=subprocess.PIPE, text=True, check=True).stdout
        for line in listing.splitlines():
            symbol = line.split()[0]
            if prefix_is_right(name, symbol):
                continue
            if any(re.fullmatch(where, name) and re.fullmatch(what, symbol)
                   for where, what in SYMBOL_EXCEPTIONS.items()):
                continue
            yield f"{name}:1: exports {symbol}"


def rule_marks():
    """nothing is left to do"""
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    for name in files(".c", ".h", ".py", ".sh", ".md"):
        for number, line in enumerate(lines_of(name), 1):
            if marks.search(line):
                yield f"{name}:{number}: {line.strip()}"


def rule_sizes():
    """files, functions and lines are short, or say "Long because" """
    for name in files(".c", ".h"):
        lines = lines_of(name)
        excused = any("Long because" in line for line in lines[:80])
        if len(lines) > FILE_LINES_MAX and not excused:
            yield f"{name}:1: {len(lines)} lines; split it by noun"
        start = None
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX and '"' not in line:
                yield f"{name}:{number}: {len(line)} columns"
            if line == "{":
                start = number
            elif line == "}" and start is not None:
                # Look for the excuse in the comment above the function.
                above = "\n".join(lines[max(0, start - 30):start])
                above = above[above.rfind("\n}\n") + 1:]
                if (number - start - 1 > FUNCTION_LINES_MAX
                        and "Long because" not in above):
                    yield (f"{name}:{start}: a function of "
                           f"{number - start - 1} lines")
                start = None


def rule_invariants():
    """each promise (D1-D4, R1-R3) has a check and a test that names it"""
    code = {name: "\n".join(lines_of(name))
            for name in files(".c", ".h", dirs=SOURCE_DIRS)}
    tests = "\n".join("\n".join(lines_of(name))
                      for name in files(".c", ".py", dirs=("tests",)))
    for number in ("D1", "D2", "D3", "D4", "R1", "R2", "R3"):
        check = re.compile(r"CHECK\([^;]*;\s*/\* " + number + r"\b")
        if not any(check.search(text) for text in code.values()):
            yield f"{number}: no CHECK or DCHECK says that it checks it"
        if not re.search(r"\b\w+_" + number + r"(_\w*)?\(", tests, re.I):
            yield f"{number}: no test is named after it"


def rule_readmes():
    """every folder says what it is for"""
    for top in SOURCE_DIRS + ("tests", "."):
        readme = ROOT / top / "README.md"
        if not readme.exists() or len(lines_of(readme)) < 5:
            yield f"{top}/README.md:1: is missing or says nothing"


def rule_links():
    """paths that READMEs link to exist"""
    link = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")
    for readme in ROOT.rglob("README.md"):
        name = str(readme.relative_to(ROOT))
        if name.startswith("build/"):
            continue
        for number, line in enumerate(lines_of(name), 1):
            for found in link.finditer(line):
                if not (readme.parent / found.group(1)).exists():
                    yield f"{name}:{number}: no {found.group(1)}"


def rule_scripts():
    """Python and shell scripts parse"""
    for name in files(".py") + [".ci/lint.py"]:
        try:
            compile((ROOT / name).read_text(encoding="utf-8"), name, "exec")
        except SyntaxError as error:
            yield f"{name}:{error.lineno}: {error.msg}"
    scripts = files(".sh") + [".ci/deps", ".ci/run", "tests/run"]
    yield from run_all([["bash", "-n", name] for name in scripts
                        if (ROOT / name).exists()])


def main():
    wanted = sys.argv[1:]
    rules = [value for key, value in globals().items()
             if key.startswith("rule_")
             and (not wanted or key.removeprefix("rule_") in wanted)]
    failed = 0
    for rule in rules:
        complaints = list(rule())
        name = rule.__name__.removeprefix("rule_")
        title = (rule.__doc__ or "").strip()
        print(f"{'FAIL' if complaints else 'ok  '} lint {name}: {title}",
              flush=True)
        for complaint in complaints:
            print("  " + complaint.replace("\n", "\n  "), flush=True)
        failed += bool(complaints)
    print(f"lint: {len(rules) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
