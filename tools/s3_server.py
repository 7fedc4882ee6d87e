"""A real S3 server on this machine: OpenStack Swift with its S3 interface, in one process, on the loopback interface.

    python tools/s3_server.py                                         # until Ctrl+C; prints what a client has to set
    python tools/s3_server.py --bucket podcasts -- COMMAND ARGUMENT…  # for one command, which finds it in its environment

It needs `pip install 'podcast-assets[s3-server]'` (Linux). Signatures, multipart uploads, ranges, listings and checksums are real.
It is for trying things out and for tests: one copy of everything, and whoever may use this machine can reach its inner servers.
"""

import argparse
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ACCOUNT, USER, REGION = "podcasts", "tester", "us-east-1"
PATIENCE_SECONDS = 60
"""For what the servers ask of each other. Swift's own 1 to 3 s drop entries of listings where a machine is busy."""

_PIPELINES = {
    "account": "account-server",
    "container": "container-server",
    "object": "object-server",
    "proxy": "catch_errors gatekeeper healthcheck listing_formats bulk s3api tempauth slo dlo versioned_writes symlink "
    "proxy-server",
}
_APPLICATIONS = {
    "account": "use = egg:swift#account",
    "container": "use = egg:swift#container",
    "object": f"use = egg:swift#object\ncontainer_update_timeout = {PATIENCE_SECONDS}\nnode_timeout = {PATIENCE_SECONDS}",
    "proxy": f"""use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
recheck_container_existence = 0
node_timeout = {PATIENCE_SECONDS}
recoverable_node_timeout = {PATIENCE_SECONDS}
conn_timeout = {PATIENCE_SECONDS}
client_timeout = {PATIENCE_SECONDS}""",
}
_FILTERS = {
    "s3api": f"location = {REGION}\ns3_acl = false\ndns_compliant_bucket_names = true\nallow_multipart_uploads = true",
    "versioned_writes": "allow_object_versioning = true",
}


class ServerFailed(RuntimeError):
    """The server did not start; the message is its output."""


@contextlib.contextmanager
def running(
    folder: Path | None = None, *, python: str = sys.executable, bucket: str = "podcasts"
) -> Iterator[dict[str, str]]:
    """A server with one bucket while the block runs; gives the environment variables by which clients find it.

    Args:
        folder: where it keeps its files; None for a temporary one.
        python: an interpreter that has Swift.
        bucket: made by the server.

    Raises:
        ServerFailed: it did not start.
    """
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="podcast-assets-s3-")))
        errors = stack.enter_context((place / "server.log").open("w+"))
        command = [python, str(Path(__file__).resolve()), "--serve", str(place), "--bucket", bucket]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        stack.enter_context(server)
        stack.callback(server.kill)
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            server.wait()
            errors.seek(0)
            raise ServerFailed(errors.read().strip())
        yield json.loads(line)


def serve(folder: Path, bucket: str) -> None:
    """Start the four servers of Swift here, make the bucket, and say so; ends when standard input does, as with its parent."""
    warnings.filterwarnings("ignore", module="eventlet")  # it is deprecated, and Swift stands on it
    import eventlet

    eventlet.monkey_patch()
    from eventlet import wsgi
    from swift.common import utils
    from swift.common import wsgi as swift_wsgi

    etc, keys = folder / "etc", secrets.token_urlsafe(24)
    for name in (etc, folder / "disks" / "d1"):
        name.mkdir(parents=True, exist_ok=True)
    sockets = {name: eventlet.listen(("127.0.0.1", 0)) for name in _PIPELINES}
    ports = {name: s.getsockname()[1] for name, s in sockets.items()}
    _configure(etc, folder / "disks", ports, keys)
    utils.set_swift_dir(str(etc))
    applications = {
        name: swift_wsgi.loadapp(str(etc / f"{name}-server.conf"), global_conf={"log_name": name}) for name in sockets
    }
    for name, sock in sockets.items():
        eventlet.spawn(
            wsgi.server,
            sock,
            applications[name],
            log_output=False,
            protocol=swift_wsgi.SwiftHttpProtocol,
            socket_timeout=PATIENCE_SECONDS,
            capitalize_response_headers=False,
        )
    environment = {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{ports['proxy']}",
        "AWS_ACCESS_KEY_ID": f"{ACCOUNT}:{USER}",
        "AWS_SECRET_ACCESS_KEY": keys,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
    eventlet.spawn(_make_bucket, applications["proxy"], bucket).wait()
    print(json.dumps(environment), flush=True)
    from eventlet.green import os as green_os

    while green_os.read(0, 1024):  # until the parent is gone
        pass


def _make_bucket(proxy: Any, bucket: str) -> None:
    """Create the bucket as a container, without the S3 interface, which needs a signature."""
    from swift.common.swob import Request

    made = Request.blank(
        f"/v1/AUTH_{ACCOUNT}/{bucket}", environ={"REQUEST_METHOD": "PUT", "swift.authorize_override": True}
    ).get_response(proxy)
    if not made.is_success:
        raise ServerFailed(f"bucket {bucket}: {made.status}")


def _configure(etc: Path, disks: Path, ports: dict[str, int], secret: str) -> None:
    from swift.common.ring import RingBuilder

    (etc / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = podcasts\nswift_hash_path_suffix = podcasts\n"
        "[storage-policy:0]\nname = default\ndefault = yes\n"
    )
    for name, pipeline in _PIPELINES.items():
        *filters, application = pipeline.split()
        lines = [
            f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {ports[name]}\nswift_dir = {etc}\ndevices = {disks}\n"
            f"mount_check = false\ndisable_fallocate = true\nlog_level = CRITICAL\nlog_address = {etc / 'no-log'}\n"
            f"[pipeline:main]\npipeline = {pipeline}\n[app:{application}]\n{_APPLICATIONS[name]}\n"
        ]
        for each in filters:
            options = f"user_{ACCOUNT}_{USER} = {secret} .admin" if each == "tempauth" else _FILTERS.get(each, "")
            lines.append(f"[filter:{each}]\nuse = egg:swift#{each}\n{options}\n")
        file = etc / f"{name}-server.conf"
        file.touch(0o600)
        file.write_text("".join(lines))
        if name != "proxy":
            builder: Any = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
            builder.add_dev(
                {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": ports[name], "device": "d1", "weight": 1.0}
                | {"replication_ip": "127.0.0.1", "replication_port": ports[name]}
            )
            builder.rebalance()
            builder.get_ring().save(str(etc / f"{name}.ring.gz"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bucket", default="podcasts", help="made at the start (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where it keeps what it is given; by default a temporary one")
    parser.add_argument("--serve", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help="run this with the server in its environment, then end")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.bucket)
        return
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    with running(arguments.folder, bucket=arguments.bucket) as environment:
        if arguments.command:
            sys.exit(subprocess.run(arguments.command, env=os.environ | environment, check=False).returncode)
        print("\n".join(f"export {name}={value}" for name, value in environment.items()))
        print(f"# export PODCAST_STORE=s3://{arguments.bucket}/PREFIX", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
