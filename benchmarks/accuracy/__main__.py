"""Run by `python -m benchmarks.accuracy`."""

from benchmarks.accuracy.command import main

main()
