#!/bin/sh
# Makes this machine (Linux with systemd, or a Mac) a worker of a Ray cluster for podcast-assets, now and after every start:
#
#   RAY_AUTH_TOKEN=… sh install.sh --address HEAD:6379
#
# In one line from a web server of yours, checked against the sum that `sha256sum deploy/node/install.sh` gave you:
#   curl -fsSo install.sh https://YOUR.HOST/install.sh && echo "SUM  install.sh" | sha256sum -c && RAY_AUTH_TOKEN=… sh install.sh …
#
# It asks for root where it must (sudo), installs into PREFIX, writes the token to a file that only the service reads, and starts the
# service. To run it again is to upgrade. Credentials of the store, AWS_… lines, go into PREFIX/store.env, which is yours. `sh install.sh --remove` takes all of it away; the models stay in PREFIX/models.
set -eu

PREFIX=/opt/podcast-assets
REQUIREMENT='podcast-assets[gpu,ray,s3]'
CONSTRAINTS=
ADDRESS=
GPUS=
STAY=
PYTHON=python3.11
REMOVE=
DRY_RUN=
LABEL=org.podcast-assets.ray-node
UNIT=podcast-ray-node.service

say() { printf '%s\n' "install.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

usage() {
  cat >&2 <<'TEXT'
usage: RAY_AUTH_TOKEN=… sh install.sh --address HOST:PORT [--gpus N] [--name NAME] [--engines NAME,…] [--languages CODE,…]
         [--idle-minutes N] [--empty-checks N] [--unreachable-minutes N] [--persistent]
         [--python NAME] [--requirement SPEC] [--constraints FILE_OR_URL]
       sh install.sh --remove
  --address      the head of the Ray cluster (ray start --head), port 6379
  --gpus         GPUs to offer; default: those that Ray finds (a Mac has none that Ray counts)
  --name         name of this machine in lists; default its address
  --engines      engines whose work it prefers, such as parakeet
  --languages    languages whose episodes it prefers, such as zh,ja
  --idle-minutes, --empty-checks
                 the service stops after this time, and this many checks of one a minute, without work; default 10 and 3
  --unreachable-minutes
                 and after this time without an answer of the head; default 10
  --persistent   it never stops by itself
  --python       interpreter, the same minor version as the head's; default python3.11
  --requirement  what to install; default podcast-assets[gpu,ray,s3]; a path or a wheel will do
  --constraints  the constraints.txt of the release that the head runs: Ray wants the same version everywhere
  --dry-run      write the files to PREFIX, install and start nothing
  --prefix       default /opt/podcast-assets
TEXT
  exit 2
}

need_value() { [ "$#" -ge 2 ] && [ -n "$2" ] || { say "$1 wants a value"; usage; }; }

while [ "$#" -gt 0 ]; do
  case $1 in
    --address) need_value "$@"; ADDRESS=$2; shift 2 ;;
    --gpus) need_value "$@"; GPUS=$2; shift 2 ;;
    --name | --engines | --languages | --idle-minutes | --empty-checks | --unreachable-minutes)
      need_value "$@"
      case $2 in *[!A-Za-z0-9.,_-]*) fail "$1 $2: letters, digits, dots, commas, - and _ are wanted" ;; esac
      STAY="$STAY $1 $2"
      shift 2
      ;;
    --persistent) STAY="$STAY --persistent"; shift ;;
    --python) need_value "$@"; PYTHON=$2; shift 2 ;;
    --requirement) need_value "$@"; REQUIREMENT=$2; shift 2 ;;
    --constraints) need_value "$@"; CONSTRAINTS=$2; shift 2 ;;
    --prefix) need_value "$@"; PREFIX=$2; shift 2 ;;
    --remove) REMOVE=yes; shift ;;
    --dry-run) DRY_RUN=yes; shift ;;
    -h | --help) usage ;;
    *) say "what is $1?"; usage ;;
  esac
done

SYSTEM=$(uname -s)
case $SYSTEM in
  Linux | Darwin) ;;
  *) fail "$SYSTEM: only Linux and macOS are known" ;;
esac

as_root() {
  if [ -n "$DRY_RUN" ] || [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

if [ -n "$REMOVE" ]; then
  if [ "$SYSTEM" = Linux ]; then
    as_root systemctl disable --now "$UNIT" || true
    as_root rm -f "/etc/systemd/system/$UNIT"
    as_root systemctl daemon-reload
  else
    as_root launchctl bootout "system/$LABEL" || true
    as_root rm -f "/Library/LaunchDaemons/$LABEL.plist"
  fi
  as_root rm -rf "$PREFIX/venv" "$PREFIX/ray-node.env" "$PREFIX/ray-node.sh" "$PREFIX/ray-token"
  say "removed; $PREFIX/models is still there"
  exit 0
fi

case $ADDRESS in
  *[!A-Za-z0-9.:_-]* | '') usage ;;
  *:*[0-9]) ;;
  *) fail "--address $ADDRESS: HOST:PORT is wanted, as head.example.org:6379" ;;
esac
case $GPUS in *[!0-9]*) fail "--gpus $GPUS: a number is wanted" ;; esac
# A cluster without a token runs whatever anybody in the network sends it.
[ -n "${RAY_AUTH_TOKEN:-}" ] || fail "RAY_AUTH_TOKEN is not set: the head's token is wanted"

if [ -z "$DRY_RUN" ]; then
  command -v "$PYTHON" >/dev/null || fail "$PYTHON is not here: install it, or name another with --python"
  if [ "$SYSTEM" = Linux ]; then
    command -v systemctl >/dev/null || fail "no systemd here"
    id podcast >/dev/null 2>&1 || as_root useradd --system --home-dir "$PREFIX" --shell /usr/sbin/nologin podcast
  fi
fi

as_root install -d -m 0755 "$PREFIX" "$PREFIX/models"

if [ -z "$DRY_RUN" ]; then
  say "installing $REQUIREMENT into $PREFIX/venv (several GB with torch and CUDA)"
  as_root "$PYTHON" -m venv "$PREFIX/venv"
  set -- "$REQUIREMENT"
  if [ -n "$CONSTRAINTS" ]; then set -- -c "$CONSTRAINTS" "$@"; fi
  as_root "$PREFIX/venv/bin/pip" install --quiet --upgrade "$@"
fi

# The token is in a file of its own, not in a unit that anybody reads, and never in a command line.
write_file() { # PATH MODE, content on standard input
  written=$(mktemp)
  cat >"$written"
  as_root install -m "$2" "$written" "$1"
  rm -f "$written"
}
printf '%s' "$RAY_AUTH_TOKEN" | write_file "$PREFIX/ray-token" 0600
write_file "$PREFIX/ray-node.env" 0644 <<TEXT
RAY_AUTH_MODE=token
RAY_AUTH_TOKEN_PATH=$PREFIX/ray-token
RAY_USAGE_STATS_ENABLED=0
PODCAST_MODELS=$PREFIX/models
HF_HOME=$PREFIX/models/huggingface
PYANNOTE_METRICS_ENABLED=0
TEXT
write_file "$PREFIX/ray-node.sh" 0755 <<TEXT
#!/bin/sh
# Joins the cluster, and stays until it is told to go, there is no work, or no head.
set -eu
set -a
. "$PREFIX/ray-node.env"
# what reading and writing the store takes: AWS_ACCESS_KEY_ID=… and so on; mode 0600, owner podcast (on a Mac: root)
if [ -r "$PREFIX/store.env" ]; then . "$PREFIX/store.env"; fi
set +a
for libraries in "$PREFIX"/venv/lib/python3.*/site-packages/nvidia/cublas/lib; do
  if [ -d "\$libraries" ]; then export LD_LIBRARY_PATH="\$libraries"; fi
done
exec "$PREFIX/venv/bin/podcast-assets" node join --address "$ADDRESS"${GPUS:+ --gpus $GPUS}$STAY
TEXT

if [ "$SYSTEM" = Linux ]; then
  target=/etc/systemd/system/$UNIT
  if [ -n "$DRY_RUN" ]; then target=$PREFIX/$UNIT; fi
  write_file "$target" 0644 <<TEXT
[Unit]
Description=podcast-assets: worker of a Ray cluster
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
User=podcast
ExecStart=$PREFIX/ray-node.sh
# a node that left because there was no work or no head has ended well, and stays away until it is started again
Restart=on-failure
RestartSec=15
# Ray's processes get SIGTERM; the episodes in hand go to other workers
KillMode=control-group
TimeoutStopSec=60
OOMPolicy=continue
LimitNOFILE=65536

NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
LockPersonality=yes
CapabilityBoundingSet=
ReadWritePaths=$PREFIX/models

[Install]
WantedBy=multi-user.target
TEXT
else
  target=/Library/LaunchDaemons/$LABEL.plist
  if [ -n "$DRY_RUN" ]; then target=$PREFIX/$LABEL.plist; fi
  write_file "$target" 0644 <<TEXT
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>$LABEL</string>
  <key>ProgramArguments</key>
  <array>
    <string>$PREFIX/ray-node.sh</string>
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <!-- on a Mac, Ray joins machines only when told that this is meant -->
    <key>RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER</key>
    <string>1</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <!-- a node that left because there was no work or no head stays away until it is started again -->
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>15</integer>
  <!-- seconds between SIGTERM and SIGKILL -->
  <key>ExitTimeOut</key>
  <integer>60</integer>
  <!-- not slowed down as what runs in the background is -->
  <key>ProcessType</key>
  <string>Standard</string>
  <key>StandardOutPath</key>
  <string>/var/log/podcast-ray-node.log</string>
  <key>StandardErrorPath</key>
  <string>/var/log/podcast-ray-node.log</string>
</dict>
</plist>
TEXT
fi
if [ -n "$DRY_RUN" ]; then
  say "written to $PREFIX; nothing is installed or started"
elif [ "$SYSTEM" = Linux ]; then
  as_root chown -R podcast: "$PREFIX/models" "$PREFIX/ray-token"
  as_root systemctl daemon-reload
  as_root systemctl enable "$UNIT"
  as_root systemctl restart "$UNIT"
  say "this machine works for $ADDRESS now: journalctl -u $UNIT -f"
else
  as_root launchctl bootout "system/$LABEL" 2>/dev/null || true
  as_root launchctl bootstrap system "$target"
  say "this Mac works for $ADDRESS now: tail -f /var/log/podcast-ray-node.log"
fi
