#!/bin/sh
# Starts a PostgreSQL cluster, and PgBouncer in transaction mode in front of it,
# and stops both when the standard input ends: so they end with the test process,
# whatever happens to it.
#
# Arguments: an empty directory, a port for PostgreSQL, one for PgBouncer, and for
# a standby the port of the primary. Commands on the standard input, each answered
# with a line: kill, start (PostgreSQL), promote, kill-bouncer, start-bouncer, copy
# (by a dump, to the database `restored`), own (server.crt and server.key of the
# directory become files of the server's user).
set -eu
directory=$1 port=$2 bouncer=$3 primary=${4:-}
PATH=$PATH:/usr/sbin:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)

# PostgreSQL and PgBouncer refuse to run as root.
as_user() {
    if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}
# A process that has ended may stay in the table for a while.
await_end() {
    while :; do
        case $(ps -o stat= -p "$1" || true) in '' | Z*) return ;; esac
        sleep 0.05
    done
}
start() {
    as_user pg_ctl start --wait --silent --pgdata "$directory/data" --log "$directory/log" \
        --options "-p $port -k $directory" >/dev/null
}
# Backends that outlive a killed server keep its memory for a moment.
start_again() {
    attempts=0
    until start 2>/dev/null; do
        attempts=$((attempts + 1))
        [ "$attempts" -lt 50 ] || { cat "$directory/log" >&2; exit 1; }
        sleep 0.1
    done
}
kill_server() { as_user pg_ctl stop --mode immediate --silent --pgdata "$directory/data" >/dev/null 2>&1 || true; }
kill_hard() {
    pid=$(head -n 1 "$directory/data/postmaster.pid")
    children=$(ps -o pid= --ppid "$pid")
    # shellcheck disable=SC2086 # one argument for each process
    kill -9 "$pid" $children || true
    for ended in $pid $children; do await_end "$ended"; done
}
start_bouncer() {
    as_user pgbouncer --daemon "$directory/bouncer.ini" >/dev/null 2>&1
    while ! [ -s "$directory/bouncer.pid" ]; do sleep 0.05; done
}
kill_bouncer() {
    pid=$(cat "$directory/bouncer.pid")
    kill -9 "$pid" || true
    await_end "$pid"
    rm -f "$directory/bouncer.pid"
}
configure_bouncer() {
    cat >"$directory/bouncer.ini" <<INI
[databases]
* = host=127.0.0.1 port=$port user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $bouncer
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 8
max_client_conn = 200
server_login_retry = 1
pidfile = $directory/bouncer.pid
logfile = $directory/bouncer.log
INI
}
stop() {
    [ ! -s "$directory/bouncer.pid" ] || kill_bouncer
    [ ! -e "$directory/data/postmaster.pid" ] || kill_server
    rm -rf "$directory"
}
trap stop EXIT
trap 'exit 1' HUP INT TERM

if [ "$(id -u)" -eq 0 ]; then chown postgres "$directory"; fi
if [ -n "$primary" ]; then
    as_user pg_basebackup --checkpoint fast --write-recovery-conf --pgdata "$directory/data" \
        --dbname "host=127.0.0.1 port=$primary user=postgres"
else
    as_user initdb --auth trust --username postgres --encoding UTF8 --no-sync \
        --pgdata "$directory/data" >/dev/null
    cat >>"$directory/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
max_connections = 120
shared_buffers = 32MB
CONF
fi
start
configure_bouncer
start_bouncer
echo ready
while read -r command; do
    case $command in
    kill) kill_hard ;;
    start) start_again ;;
    promote) as_user pg_ctl promote --wait --silent --pgdata "$directory/data" ;;
    kill-bouncer) kill_bouncer ;;
    start-bouncer) start_bouncer ;;
    copy)
        server="--host 127.0.0.1 --port $port --username postgres"
        # shellcheck disable=SC2086 # one argument for each word
        {
            as_user createdb $server restored
            as_user pg_dump $server --format custom postgres >"$directory/dump"
            as_user pg_restore $server --dbname restored "$directory/dump"
        }
        ;;
    own)
        chmod 600 "$directory/server.key"
        if [ "$(id -u)" -eq 0 ]; then chown postgres "$directory"/server.*; fi
        ;;
    esac
    echo "done"
done
