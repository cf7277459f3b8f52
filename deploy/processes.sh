# To be sourced by deploy/flink/cluster and deploy/spark/cluster: processes that are started, awaited and stopped together.
#   $here      the root of the checkout
#   $folder    takes their logs, temporary files and process ids
set -m # each process that is started here leads a group of its own, which is stopped as a whole

# launch NAME COMMAND...: starts a process unless it is running; its output goes to NAME.log.
launch() {
    local name=$1
    shift
    ! is_running "$name" || return 0
    echo "--- $(date): $name starts" >>"$folder/$name.log"
    nohup "$@" </dev/null >>"$folder/$name.log" 2>&1 &
    echo $! >"$folder/$name.pid"
    disown
}

# is_running NAME: whether any process of its group is left that has not ended.
is_running() {
    [ -e "$folder/$1.pid" ] && ps -A -o pgid=,stat= | awk -v group="$(cat "$folder/$1.pid")" \
        '$1 == group && $2 !~ /^Z/ {found = 1} END {exit !found}'
}

# names: what has been started, in the order of its names.
names() {
    local file
    for file in "$folder"/*.pid; do
        [ ! -e "$file" ] || basename "$file" .pid
    done
}

# await WHAT CHECK...: returns once the command CHECK succeeds; if a process ends before, shows its log.
await() {
    local what=$1 name
    shift
    until "$@" 2>/dev/null; do
        for name in $(names); do
            if ! is_running "$name"; then
                echo "error: $name ended before $what; from $folder/$name.log:" >&2
                errors "$folder/$name.log" | sed 's/^/  /' >&2
                exit 1
            fi
        done
        sleep 0.2
    done
}

# errors LOG: the first lines since the last start that sound like an error, or the last ones.
errors() {
    local since
    since=$(awk '/^--- / {text = ""; next} {text = text $0 "\n"} END {printf "%s", text}' "$1")
    grep -iE -m 5 'caused by|error|exception' <<<"$since" || tail -n 5 <<<"$since"
}

# figure URL NAME: a number from a page of JSON.
figure() {
    "$venv/bin/python" -c 'import json, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=5) as page:
    print(json.load(page)[sys.argv[2]])' "$1" "$2"
}

# shows URL NAME NUMBER: whether that figure has reached the number.
shows() {
    [ "$(figure "$1" "$2")" -ge "$3" ]
}

# listens HOST PORT: whether something answers there.
listens() {
    (: </dev/tcp/"$1"/"$2")
}

# launch_pool NUMBER PORT: a pool at the address 127.0.0.NUMBER, which starts a worker whenever its engine asks for one. Sets
# $hosts, an option of Java by which `worker-pool` means that address.
launch_pool() {
    local address=127.0.0.$1
    hosts=-Djdk.net.hosts.file=$folder/tmp/hosts-$1
    printf '127.0.0.1 localhost %s\n%s worker-pool\n' "$(hostname)" "$address" >"$folder/tmp/hosts-$1"
    PATH="$venv/bin:$PATH" launch "worker-pool-$1" \
        "$venv/bin/python" "$here/deploy/worker_pool.py" "$address" "$2" # it starts workers by the name `python`
    pools+=("$address")
}
pools=()

# await_pools PORT: returns once all pools answer.
await_pools() {
    local address
    for address in "${pools[@]}"; do
        await "the worker pools answered" listens "$address" "$1"
    done
}

# stop_all: ends every process that was started, and forgets it.
stop_all() {
    local name tries=${STOP_TRIES:-100} # each a tenth of a second, before they are killed
    for name in $(names); do
        kill -TERM -- "-$(cat "$folder/$name.pid")" 2>/dev/null || true
    done
    for name in $(names); do
        while is_running "$name"; do
            if [ $tries -eq 0 ]; then
                kill -KILL -- "-$(cat "$folder/$name.pid")" 2>/dev/null || true
            else
                tries=$((tries - 1))
            fi
            sleep 0.1
        done
        rm "$folder/$name.pid"
    done
    rm -rf "$folder/tmp"
}

# engine NAME: sets $jar, which refers to everything that the engine and Beam's runner for it need, and $venv.
engine() {
    source "$here/scripts/venv.sh"
    jar=$(PYTHONPATH="$here" "$venv/bin/python" -P -m scripts.fetch_engines --path "$1")
    if ! command -v java >/dev/null; then
        echo "error: no Java found; install Java 17: \`apt install openjdk-17-jre-headless\`, or \`brew install openjdk@17\`" >&2
        exit 2
    fi
}

# main FUNCTION WORDS...: what the command line asks for; FUNCTION starts the cluster.
main() {
    local begin=$1
    shift
    if [ $# -ne 2 ] || { [ "$1" != start ] && [ "$1" != stop ]; }; then
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
        exit 2
    fi
    mkdir -p "$2"
    folder=$(cd "$2" && pwd)
    if [ "$1" = stop ]; then
        stop_all
        return
    fi
    mkdir -p "$folder/tmp"
    trap stop_all EXIT # unless it starts, nothing of it is left
    "$begin"
    trap - EXIT
}

java=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1) # for processes that only pass messages on: small, and quick to start
for package in java.lang java.lang.invoke java.net java.nio java.util java.util.concurrent sun.nio.ch; do # closed in Java 17
    java+=("--add-opens=java.base/$package=ALL-UNNAMED")
done
