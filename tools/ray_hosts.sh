#!/usr/bin/env bash
# A Ray cluster of three machines on one: network namespaces on a bridge, a head without workers' room and two nodes.
#
#   ray_hosts.sh up DIR          hosts ray-head 10.77.0.1, ray-a 10.77.0.2, ray-b 10.77.0.3, with Ray; logs in DIR
#   ray_hosts.sh join HOST DIR   start Ray on it again
#   ray_hosts.sh kill HOST       kill -9 everything on a host
#   ray_hosts.sh behead          kill -9 the head's control service, and nothing else
#   ray_hosts.sh cut HOST        take its network away, silently
#   ray_hosts.sh mend HOST       give it back
#   ray_hosts.sh down            end all of it
#
# Needs root, iproute2, and the `ray` of the environment named by RAY (default: the one on PATH). With RAY_AUTH_MODE=token and
# RAY_AUTH_TOKEN, only who knows the token is let in.
set -euo pipefail
ray=${RAY:-ray}
export RAY_AUTH_MODE="${RAY_AUTH_MODE:-disabled}" RAY_USAGE_STATS_ENABLED=0
declare -A addresses=([ray-head]=10.77.0.1 [ray-a]=10.77.0.2 [ray-b]=10.77.0.3)

network() {
  for host in ray-head ray-a ray-b; do ip netns add $host; ip -n $host link set lo up; done
  ip -n ray-head link add br0 type bridge
  ip -n ray-head addr add 10.77.0.1/24 dev br0
  ip -n ray-head link set br0 up
  for host in ray-a ray-b; do
    ip -n ray-head link add v-$host type veth peer name eth0 netns $host
    ip -n ray-head link set v-$host master br0 up
    ip -n $host addr add "${addresses[$host]}/24" dev eth0
    ip -n $host link set eth0 up
    ip -n $host route add default via 10.77.0.1
  done
  # Ray finds out a machine's own address by a route to the outside, which need not be there
  ip -n ray-head route add default via 10.77.0.2
}

start() {
  local dir=$1
  mkdir -p "$dir"
  ip netns exec ray-head "$ray" start --head --node-ip-address=10.77.0.1 --port=6399 --num-cpus=0 --num-gpus=0 \
    --include-dashboard=false --object-store-memory=100000000 --disable-usage-stats --temp-dir="$dir/ray" >"$dir/head.log" 2>&1
  for host in ray-a ray-b; do join $host "$dir"; done
}

join() {
  local host=$1 dir=$2
  ip netns exec "$host" "$ray" start --address=10.77.0.1:6399 --node-ip-address="${addresses[$host]}" --num-cpus=1 --num-gpus=0 \
    --object-store-memory=100000000 --disable-usage-stats >"$dir/$host.log" 2>&1
}

case ${1:-} in
  up) network; start "${2:?a folder for logs}" ;;
  join) join "${2:?host}" "${3:?a folder for logs}" ;;
  kill) ip netns pids "${2:?host}" | xargs -r kill -9 ;;
  behead)
    for pid in $(ip netns pids ray-head); do
      if grep -q gcs_server "/proc/$pid/cmdline"; then kill -9 "$pid"; fi
    done
    ;;
  cut) ip -n ray-head link set v-"${2:?host}" down ;;
  mend) ip -n ray-head link set v-"${2:?host}" up ;;
  down)
    for host in ray-a ray-b ray-head; do
      if ip netns pids $host >/dev/null 2>&1; then
        ip netns pids $host | xargs -r kill -9
        ip netns del $host
      fi
    done
    ;;
  *) sed -n '2,14p' "$0"; exit 2 ;;
esac
