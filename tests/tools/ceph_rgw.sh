#!/bin/bash
# A real S3 server for tests: one Ceph monitor, one OSD, one RADOS gateway, all
# on loopback, without systemd and without cephx.
#
#   ceph_rgw.sh install               Debian's packages (about 60 MB)
#   ceph_rgw.sh start FOLDER PORT     a new, empty cluster (in memory)
#   ceph_rgw.sh gateway FOLDER PORT   start the gateway again, after its kill
#   ceph_rgw.sh stop FOLDER           end it; the folder stays
#
# Access key testkey, secret testsecret, any region, path style.  Keep the
# folder's path short (unix sockets).  Environment: STORE=bluestore keeps the
# data in a file of the folder; MONPORT (PORT + 1000) is the monitor's port.
#
# Why the odd settings: without cephx only protocol v1 is quiet; the OSD must
# not update the CRUSH map itself, or it now and then asks before it knows the
# cluster and gives up; short Paxos intervals make the start take a second
# instead of ten; one placement group a pool and size 1 need no second OSD.
set -eu

packages="radosgw ceph-mon ceph-osd"
fsid=11111111-2222-3333-4444-555555555555
osd_uuid=22222222-2222-3333-4444-555555555555

usage() {
    sed -n '2,14s/^# \{0,1\}//p' "$0"
    exit 2
}

write_conf() {
    mkdir -p "$dir/mon" "$dir/osd" "$dir/rgw" "$dir/run" "$dir/log"
    cat >"$conf" <<CONF
[global]
fsid = $fsid
mon_host = [v1:127.0.0.1:$mon_port/0]
ms_bind_msgr2 = false
public_addr = 127.0.0.1
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_supported = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 1000
run_dir = $dir/run
admin_socket = $dir/run/\$name.\$pid.asok
pid_file = $dir/run/\$name.pid
log_file = $dir/log/\$name.log
log_to_stderr = false
keyring = $dir/keyring
ms_type = async+posix
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_tick_interval = 1
[mon]
mon_data = $dir/mon
mon_data_avail_crit = 1
mon_data_avail_warn = 1
mon_cluster_log_file = $dir/log/cluster.log
[osd]
osd_class_update_on_start = false
osd_crush_update_on_start = false
osd_data = $dir/osd
osd_objectstore = ${STORE:-memstore}
memstore_device_bytes = 4294967296
bluestore_block_size = 8589934592
bluestore_block_path =
bluestore_fsck_on_mount = false
bluestore_block_db_create = false
bluestore_block_wal_create = false
osd_memory_target = 939524096
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
osd_class_load_list = *
osd_class_default_list = *
osd_heartbeat_grace = 60
osd_mon_report_interval = 1
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:$port
rgw_data = $dir/rgw
rgw_thread_pool_size = 32
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_run_sync_thread = false
rgw_enable_gc_threads = true
rgw_enable_lc_threads = false
rgw_enable_quota_threads = false
CONF
}

wait_until_up() {
    for _ in $(seq 600); do
        code=$(curl -s -o /dev/null -w '%{http_code}' \
            "http://127.0.0.1:$port/" || true)
        [ "$code" = 200 ] && return 0
        sleep 0.1
    done
    echo "the gateway did not come up; see $dir/log" >&2
    return 1
}

start() {
    rm -rf "$dir"
    write_conf
    monmaptool --create --fsid $fsid --addv a \
        "[v1:127.0.0.1:$mon_port/0]" "$dir/monmap" >/dev/null
    ceph-mon -c "$conf" -i a --mkfs --monmap "$dir/monmap" \
        --mon-data "$dir/mon"
    ceph-mon -c "$conf" -i a
    ceph -c "$conf" osd new $osd_uuid 0 >/dev/null
    ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid $osd_uuid
    ceph -c "$conf" osd crush add osd.0 1.0 root=default host=localhost \
        >/dev/null 2>&1 ||
        ceph -c "$conf" osd crush add osd.0 1.0 root=default
    ceph-osd -c "$conf" -i 0
    radosgw-admin -c "$conf" user create --uid=test --display-name=test \
        --access-key=testkey --secret=testsecret >/dev/null
    radosgw -c "$conf" -n client.rgw
    wait_until_up
}

# Only processes that run with this very conf: a pid file outlives its process.
pids() {
    for pair in client.rgw:radosgw osd.0:ceph-osd mon.a:ceph-mon; do
        pid=$(cat "$dir/run/${pair%:*}.pid" 2>/dev/null) || continue
        if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null |
            grep -q "^${pair#*:} .*$conf"; then
            echo "$pid"
        fi
    done
}

stop() {
    for pid in $(pids); do
        kill -9 "$pid" 2>/dev/null || true
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
conf=$dir/ceph.conf
port=${3:-7480}
mon_port=${MONPORT:-$((port + 1000))}
export CEPH_CONF=$conf CEPH_ARGS=
case $1 in
start) start ;;
gateway) radosgw -c "$conf" -n client.rgw && wait_until_up ;;
stop) stop ;;
*) usage ;;
esac
