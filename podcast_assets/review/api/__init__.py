"""The HTTP interface: programs submit episodes, ask what became of them, and read transcripts, segments and statistics.

What belongs here: the routes under `/api`, the submissions that wait in the store until they become lists under `incoming/`, and
callbacks. What does not: tokens (`review.tokens`), the pages (`review.app`), and the work itself: a list is found by the sensor and
run from the queue like any other.
"""
