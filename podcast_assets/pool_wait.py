"""A run that waits for a slot of a pool sleeps meanwhile, as Dagster means it to.

Dagster 1.13's in-process executor asks how long it may sleep until it looks for a slot again. The answer is
`min([0, …])`, never above zero, and the run looks again at once: each waiting run takes a core, which the runs that hold the
slots decode with.
"""

import time

from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext


def until_next_look(self: InstanceConcurrencyContext) -> float:
    """Seconds until the first of the waiting steps is to look for a slot again; 0 where none waits."""
    due = [at for step, at in self._pending_timeouts.items() if step in self._pending_claims]
    return max(0.0, min(due) - time.time()) if due else 0.0


def install() -> None:
    """Put the answer in place of Dagster's, in this process."""
    InstanceConcurrencyContext.interval_to_next_pending_claim_check = until_next_look
