"""The machines of a connected Ray cluster, and where a stage's workers should go."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from podcast_assets.stages.compute.node_labels import has_preferences, placements, preferences_of
from podcast_assets.stages.profiles import components
from podcast_assets.stages.stage import Episode, Stage


@dataclass(frozen=True)
class Node:
    """A machine of a cluster."""

    node_id: str
    name: str
    """Given by `--name`; else its address."""
    address: str
    alive: bool
    cpus: float
    gpus: float
    engines: Sequence[str]
    """Names of the engines that it prefers."""
    languages: Sequence[str]
    """ISO 639-1 codes of the languages that it prefers."""
    is_head: bool


def list_nodes() -> list[Node]:
    """List the machines of the connected cluster, by name; those that left are not alive."""
    import ray

    found = [_make_node(entry) for entry in ray.nodes()]
    return sorted(found, key=lambda node: (not node.alive, not node.is_head, node.name))


def _make_node(entry: dict[str, Any]) -> Node:
    engines, languages = preferences_of(entry.get("Labels") or {})
    resources = entry.get("Resources") or {}
    return Node(
        node_id=entry["NodeID"],
        name=entry.get("NodeName") or entry["NodeManagerAddress"],
        address=entry["NodeManagerAddress"],
        alive=entry["Alive"],
        cpus=resources.get("CPU", 0.0),
        gpus=resources.get("GPU", 0.0),
        engines=engines,
        languages=languages,
        is_head="node:__internal_head__" in resources,
    )


def placement_options(stage: Stage, episodes: Iterable[Episode]) -> dict[str, Any]:
    """Return Ray's options of where a stage's worker goes; empty where no machine prefers anything.

    So clusters without preferences, and their autoscalers, never see a selector.
    """
    import ray

    if not any(entry["Alive"] and has_preferences(entry.get("Labels") or {}) for entry in ray.nodes()):
        return {}
    engines = [engine.name for engine in components(stage.engine)] if stage.engine else []
    counted = Counter(str(e.inputs["language"]) for e in episodes if e.inputs.get("language"))
    first, *others = placements(engines, [language for language, _ in counted.most_common()])
    return {"label_selector": first, "fallback_strategy": [{"label_selector": selector} for selector in others]}


def ask_nodes(nodes: Sequence[Node], question: Callable[..., Any], *arguments: Any, seconds: float) -> list[Any]:
    """Call a function on each machine at once.

    Args:
        nodes: machines that are alive.
        question: module-level function of this package.
        arguments: of the function.
        seconds: time limit for all.

    Returns:
        What it returned on each machine, in order, or an exception where it raised one or did not answer in time.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    calls = [
        ray.remote(question)
        .options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        )
        .remote(*arguments)
        for node in nodes
    ]
    ready, _ = ray.wait(calls, num_returns=len(calls), timeout=seconds) if calls else ([], [])
    answers: list[Any] = []
    for call in calls:
        try:
            answers.append(ray.get(call) if call in ready else GetTimeoutError(f"no answer in {seconds:g} s"))
        except RayError as error:
            answers.append(error)
    return answers
