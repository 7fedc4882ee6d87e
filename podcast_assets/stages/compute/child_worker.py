"""The program of the child processes of `child_process`: reads requests from a socket and answers them with a stage's worker.

Its first message is the stage, the number of episodes to prepare ahead, and the log level. Each later one has the arguments of
`StageWorker.exchange` and is answered by a `WorkerReport`.
"""

import os
import signal
import sys
from multiprocessing.connection import Connection

from podcast_assets.common import memory
from podcast_assets.common.cores import available_cores
from podcast_assets.common.redacted_output import redact_output
from podcast_assets.stages.compute.stage_worker import StageWorker


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C goes to the whole group; the parent ends this process
    redact_output()
    memory.keep_freed_memory()
    connection = Connection(int(sys.argv[1]))
    try:
        stage, prefetch, level = connection.recv()
        worker = StageWorker(stage, prefetch, available_cores(), share_device=False, smoke_test=False, log_level=level)
        while True:
            begins, episodes, last, wait = connection.recv()
            connection.send(worker.exchange(begins, episodes, last=last, wait=wait))
    except (EOFError, ConnectionError):
        os._exit(0)  # the parent is gone; the thread of the stage may hang


if __name__ == "__main__":
    _main()
