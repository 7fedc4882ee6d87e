"""The state of a batch of which every stage is committed."""


def batch_state(*, done: int, failed: int) -> str:
    """State of a batch of which every stage is committed: `done` only if an episode is, else `failed` or `empty`.

    Args:
        done: episodes that no stage failed; those without speech count.
        failed: episodes that some stage failed.
    """
    if done:
        return "done"
    return "failed" if failed else "empty"
