#!/usr/bin/env bash
# Redis's own test suite, in its external mode, against Walden and against the
# real redis-server, file by file, each file on a fresh server.
#
#   tests/compat/redis_suite.sh [FILE ...]        (files like unit/type/list)
#
# The suite is in Debian's source package redis.  It is fetched with apt-get,
# from the mirror this machine already uses, into an apt root of its own (the
# machine's sources stay as they are), or taken from the checkout that
# REDIS_SOURCE names.  What Walden fails must be listed in exceptions.txt with a
# reason, and what is listed must still fail: the list only gets shorter.
#
#   SUITE_SECONDS  for each file (300)     WALDEN  the server (build/walden)
set -u
cd "$(dirname "$0")/../.." || exit 2
root=$PWD
walden=${WALDEN:-$root/build/walden}
redis=$root/build/tools/redis-server
exceptions=$root/tests/compat/exceptions.txt
cache=$root/build/redis-source
out=$root/build/compat

files=("$@")
if [ ${#files[@]} -eq 0 ]; then
    files=(unit/type/string unit/type/incr unit/type/list unit/type/list-2
        unit/type/list-3 unit/type/hash unit/keyspace unit/scan unit/expire
        unit/multi unit/other unit/quit unit/protocol)
fi
# What external servers cannot be asked: replication.
tags="-needs:repl"

# The deb-src twins of the machine's own sources, old style and deb822 style.
source_lines() {
    sed -n 's/^deb \(\[[^]]*\] \)\?\(.*\)$/deb-src \1\2/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null
    awk 'function put(  i, n, u) {
             if (uris != "" && types ~ /deb/) {
                 option = signed == "" ? "" : "[signed-by=" signed "] "
                 n = split(uris, u, " "); m = split(suites, s, " ")
                 for (i = 1; i <= n; i++) for (j = 1; j <= m; j++)
                     print "deb-src " option u[i], s[j], components
             }
             uris = suites = components = types = signed = ""
         }
         FNR == 1 { put() }
         /^$/ { put() }
         /^Types:/ { sub(/^[^:]*: */, ""); types = $0 }
         /^URIs:/ { sub(/^[^:]*: */, ""); uris = $0 }
         /^Suites:/ { sub(/^[^:]*: */, ""); suites = $0 }
         /^Components:/ { sub(/^[^:]*: */, ""); components = $0 }
         /^Signed-By:/ { sub(/^[^:]*: */, ""); signed = $0 }
         END { put() }' /etc/apt/sources.list.d/*.sources 2>/dev/null
}

fetch() {
    local apt=$cache/apt
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/etc"
    # Debian's own archives only: third parties have no redis.
    source_lines | grep -E '[/ ]debian' >"$apt/etc/sources.list"
    if ! [ -s "$apt/etc/sources.list" ]; then
        echo "no Debian mirror in /etc/apt; set REDIS_SOURCE" >&2
        return 1
    fi
    local options=(-o "Dir::Etc::sourcelist=$apt/etc/sources.list"
        -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$apt/lists"
        -o "Dir::Cache::archives=$apt/archives" -o Dir::Cache::pkgcache=
        -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update -qq >"$cache/apt.log" 2>&1
    (cd "$cache" && apt-get "${options[@]}" source -qq redis \
        >>"$cache/apt.log" 2>&1)
    if ! ls -d "$cache"/redis-*/tests >/dev/null 2>&1; then
        echo "the source package redis could not be fetched:" >&2
        tail -n 5 "$cache/apt.log" >&2
        return 1
    fi
}

if [ -n "${REDIS_SOURCE:-}" ]; then
    source=$REDIS_SOURCE
else
    ls -d "$cache"/redis-*/tests >/dev/null 2>&1 || fetch || exit 1
    source=$(ls -d "$cache"/redis-*/tests | head -n 1)
    source=${source%/tests}
fi

# The suite runs from a copy, changed where it takes one Redis for granted:
#   - a test that raises an error, as on an unknown command, has failed; the
#     suite's --durable goes on with the next one, on a new connection: replies
#     may wait on the old one, and a transaction may be open
#   - dropping all functions before a file may fail: there may be none to drop
#   - a list of one node is a quicklist in 7.0, whose suite this is, and a
#     listpack in 7.2, whose words Walden uses
# Both servers get the same copy.
prepare() {
    suite=$out/suite
    local support=$suite/tests/support/test.tcl
    mkdir -p "$suite/src"
    cp -R "$source/tests" "$suite/"
    local program
    for program in redis-cli redis-benchmark; do
        ln -s "$(command -v $program)" "$suite/src/$program"
    done
    find "$suite/tests/support" "$suite/tests/test_helper.tcl" -name '*.tcl' \
        -exec sed -i -E 's/^( *)(r function flush)$/\1catch {\2}/' {} +
    sed -i -E 's/^( *)lappend ::tests_failed \$details$/&\
\1catch {recover}/
s/^( *)set val \[r object encoding \$key\]$/&\
\1if {$enc eq "quicklist" \&\& $val eq "listpack"} {set val quicklist}/' \
        "$support"
    cat >>"$support" <<'END'

proc recover {} {
    set old [regsub {.*redisHandle} [srv 0 client] {}]
    set deferred $::redis::deferred($old)
    set readraw $::redis::readraw($old)
    reconnect
    catch {r debug set-active-expire 1}
    r deferred $deferred
    r readraw $readraw
}
END
    if [ "$(grep -c 'catch {recover}' "$support")" -lt 2 ] ||
        ! grep -q 'set val quicklist' "$support"; then
        echo "the suite is not as expected: $source" >&2
        return 1
    fi
}

server=
folder=
stop() {
    [ -n "$server" ] && kill -9 "$server" 2>/dev/null &&
        wait "$server" 2>/dev/null
    [ -n "$folder" ] && rm -rf "$folder"
    server=
    folder=
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

# suite NAME FILE SERVER...: leaves NAME.ok and NAME.err, a test a line.
suite() {
    local name=$1 file=$2 port log
    shift 2
    port=$(python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    folder=$(mktemp -d "${TMPDIR:-/tmp}/walden-compat.XXXXXX")
    log=$out/$name.log
    "$@" --port "$port" --dir "$folder" >"$out/$name.server" 2>&1 </dev/null &
    server=$!
    for _ in $(seq 200); do
        [ "$(redis-cli -p "$port" ping 2>/dev/null)" = PONG ] && break
        sleep 0.05
    done
    # The suite starts helpers of its own: a session, so that all of it goes.
    (
        cd "$suite" || exit 1
        exec timeout -k 5 "${SUITE_SECONDS:-300}" tclsh \
            tests/test_helper.tcl --host 127.0.0.1 --port "$port" \
            --clients 1 --durable --tags "$tags" --single "$file"
    ) >"$log" 2>&1 </dev/null
    stop
    sed -i 's/\x1b\[[0-9;]*m//g' "$log"
    sed -n -E 's/^\[ok\]: (.*) \([0-9]+ ms\)$/\1/p; s/^\[ok\]: (.*[^)])$/\1/p' \
        "$log" | sort -u >"$out/$name.ok"
    sed -n -E 's/^\[(err|exception|timeout)\]: (.*)$/\2/p' "$log" |
        sed -E 's/ in tests\/.*$//' | sort -u >"$out/$name.err"
    if ! grep -q 'Test Summary\|The End\|All tests passed' "$log" &&
        ! [ -s "$out/$name.err" ]; then
        echo "$file did not finish" >>"$out/$name.err"
    fi
}

rm -rf "$out"
mkdir -p "$out"
prepare || exit 1
passed=0
failed=0
printf '%-20s %21s %21s\n' '' redis-server walden
printf '%-20s %10s %10s %10s %10s\n' file passes failures passes failures
for file in "${files[@]}"; do
    short=${file//\//_}
    suite "redis-$short" "$file" "$redis" --save '' --enable-debug-command yes
    suite "walden-$short" "$file" "$walden"
    printf '%-20s %10d %10d %10d %10d\n' "$file" \
        "$(wc -l <"$out/redis-$short.ok")" \
        "$(wc -l <"$out/redis-$short.err")" \
        "$(wc -l <"$out/walden-$short.ok")" \
        "$(wc -l <"$out/walden-$short.err")"
    passed=$((passed + $(wc -l <"$out/walden-$short.ok")))
    # What redis-server passes and Walden neither passes nor reports was lost
    # with a file that ended early.
    comm -23 "$out/redis-$short.ok" \
        <(sort -u "$out/walden-$short.ok" "$out/walden-$short.err") |
        sed 's/$/ (not reached)/' >>"$out/walden-$short.err"
    sed "s|^|$file: |" "$out/walden-$short.err" >>"$out/failures"
done

# exceptions.txt: "file: test name | reason".
echo
known=$(grep -v '^#' "$exceptions" 2>/dev/null | sed 's/ *|.*//')
while IFS= read -r failure; do
    reason=$(grep -F -- "$failure |" "$exceptions" | sed 's/.*| *//' | head -1)
    if [ -n "$reason" ]; then
        echo "known  $failure ($reason)"
    else
        echo "FAIL   $failure"
        failed=$((failed + 1))
    fi
done <"$out/failures"
while IFS= read -r name; do
    [ -z "$name" ] && continue
    for file in "${files[@]}"; do
        if [ "${name%%:*}" = "$file" ] &&
            ! grep -qxF -- "$name" "$out/failures"; then
            echo "FAIL   $name: passes; take it off the list"
            failed=$((failed + 1))
        fi
    done
done <<<"$known"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
