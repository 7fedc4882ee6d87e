"""`dagster dev` whose web server answers only requests that name this machine, and which says when it does.

A web page can point its own name at 127.0.0.1 (DNS rebinding), and the browser then lets it read and start everything in the UI,
which has no login. Such a request carries the page's name in its header `Host`.

`podcast-assets dev` runs this module as a program: its arguments are the role (`dev`, `webserver` or `daemon`), the allowed hosts
joined by commas, and the arguments of `dagster dev`, `dagster-webserver` or `dagster-daemon`.
"""

import http.client
import sys
import threading
import time
from collections.abc import Sequence

LOCAL_HOSTS = ("localhost", "127.0.0.1")


def dev_command(allowed_hosts: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Command line that runs `dagster dev`.

    Args:
        allowed_hosts: host names that requests may carry, besides `LOCAL_HOSTS`.
        arguments: arguments of `dagster dev`.
    """
    return _command("dev", [*LOCAL_HOSTS, *allowed_hosts], arguments)


def _command(role: str, hosts: Sequence[str], arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", __spec__.name, role, ",".join(hosts), *arguments]


def _announce(port: int) -> None:
    """Say that the UI is ready once it answers."""
    while not _answers(port):
        time.sleep(0.5)
    sys.stderr.write(f"the Dagster UI is ready: http://127.0.0.1:{port}\n")
    sys.stderr.flush()


def _answers(port: int) -> bool:
    """Whether a webserver answers on this machine. Not by urllib, which would ask a proxy of the environment for it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/server_info")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _main() -> None:
    from podcast_assets.defs.dagster_internals import run_daemon, run_dev, run_webserver

    role, hosts, *arguments = sys.argv[1:]
    if role == "dev":
        if "-p" in arguments:
            port = arguments[arguments.index("-p") + 1]
            threading.Thread(target=_announce, args=(int(port),), daemon=True).start()
        run_dev(arguments, *(_command(other, hosts.split(","), ()) for other in ("webserver", "daemon")))
    elif role == "daemon":
        run_daemon(arguments)
    else:
        run_webserver(arguments, hosts.split(","))


if __name__ == "__main__":
    _main()
