#!/bin/bash
# An S3 server that refuses conditional requests (501): OpenStack Swift with its
# s3api, one node, one replica, on loopback, without systemd and keystone.
#
#   swift_s3.sh install               Debian's packages (about 10 MB)
#   swift_s3.sh start FOLDER PORT     new and empty
#   swift_s3.sh stop FOLDER           end it; the folder stays
#
# Access key test:tester, secret testing, region us-east-1, path style.  Takes
# the four ports after PORT too.  FOLDER: on a file system with user extended
# attributes (ext4, xfs; not tmpfs).
set -eu

packages="swift-proxy swift-account swift-container swift-object memcached"

usage() {
    sed -n '2,12s/^# \{0,1\}//p' "$0"
    exit 2
}

write_conf() {
    mkdir -p "$etc" "$run" "$dir/srv/d1"
    cat >"$etc/swift.conf" <<CONF
[swift-hash]
swift_hash_path_suffix = s
swift_hash_path_prefix = p
[storage-policy:0]
name = Policy-0
default = yes
CONF
    at=$((port + 1))
    for name in account container object; do
        cat >"$etc/$name-server.conf" <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $at
workers = 1
user = $(id -un)
swift_dir = $etc
devices = $dir/srv
mount_check = false
log_name = $name
log_level = ERROR
fallocate_reserve = 0
[pipeline:main]
pipeline = $name-server
[app:$name-server]
use = egg:swift#$name
CONF
        at=$((at + 1))
    done
    printf '[DEFAULT]\nswift_dir = %s\n' "$etc" >"$etc/container-reconciler.conf"
    cat >"$etc/proxy-server.conf" <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $port
workers = 1
user = $(id -un)
swift_dir = $etc
log_level = ERROR
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$((port + 4))
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
dns_compliant_bucket_names = true
check_bucket_owner = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
CONF
    for name in catch_errors gatekeeper healthcheck listing_formats bulk copy \
        slo dlo symlink; do
        printf '[filter:%s]\nuse = egg:swift#%s\n' $name $name \
            >>"$etc/proxy-server.conf"
    done
}

# The rings are files in the current folder.
write_rings() (
    cd "$etc"
    at=$((port + 1))
    for name in account container object; do
        swift-ring-builder $name.builder create 4 1 1
        swift-ring-builder $name.builder add --region 1 --zone 1 \
            --ip 127.0.0.1 --port $at --device d1 --weight 1
        swift-ring-builder $name.builder rebalance
        at=$((at + 1))
    done
) >"$run/rings.log"

# answers PORT PATH: is there an HTTP server?
answers() {
    curl -s --noproxy '*' -o "$run/answer" "http://127.0.0.1:$1$2"
}

start() {
    rm -rf "$dir"
    write_conf
    write_rings
    setsid memcached -l 127.0.0.1 -p $((port + 4)) -U 0 -u "$(id -un)" -m 16 \
        </dev/null >"$run/memcached.log" 2>&1 &
    echo $! >"$run/memcached.pid"
    for name in account container object proxy; do
        setsid "swift-$name-server" "$etc/$name-server.conf" </dev/null \
            >"$run/$name.log" 2>&1 &
        echo $! >"$run/$name.pid"
    done
    for at in 0 1 2 3; do
        for _ in $(seq 200); do
            answers $((port + at)) /healthcheck && continue 2
            sleep 0.1
        done
        echo "Swift did not come up; see $run" >&2
        return 1
    done
}

# Only processes that are still ours: a pid file outlives its process.
stop() {
    for file in "$run"/*.pid; do
        [ -f "$file" ] || continue
        pid=$(cat "$file")
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null |
            grep -qE "$etc/|memcached -l 127.0.0.1" || continue
        # shellcheck disable=SC2046 # a list
        kill -9 "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) \
            2>/dev/null || true
    done
}

[ $# -ge 1 ] || usage
if [ "$1" = install ]; then
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends $packages
    exit 0
fi
[ $# -ge 2 ] || usage
dir=$2
etc=$dir/etc
run=$dir/run
port=${3:-8089}
case $1 in
start) start ;;
stop) stop ;;
*) usage ;;
esac
