"""`dagster dev` whose web server answers only requests that name this machine.

A web page can point its own name at 127.0.0.1 (DNS rebinding), and the browser then lets it read and start everything in the UI,
which has no login. Such a request carries the page's name in its header `Host`.

`podcast-assets dev` runs this module as a program: its arguments are the role (`dev` or `webserver`), the allowed hosts joined by
commas, and the arguments of `dagster dev` or `dagster-webserver`.
"""

import sys
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


def _main() -> None:
    from podcast_assets.defs.dagster_internals import run_dev, run_webserver

    role, hosts, *arguments = sys.argv[1:]
    if role == "dev":
        run_dev(arguments, _command("webserver", hosts.split(","), ()))
    else:
        run_webserver(arguments, hosts.split(","))


if __name__ == "__main__":
    _main()
