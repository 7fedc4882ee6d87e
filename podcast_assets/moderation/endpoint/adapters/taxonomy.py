"""Models with categories of their own: which of them belong to which label of a policy."""

from collections.abc import Iterable, Mapping

from podcast_assets.common.errors import Misconfigured
from podcast_assets.moderation.protocol import ModerationPolicy


def check_categories(
    adapter: str, policy: ModerationPolicy, categories: Mapping[str, str], known: Iterable[str]
) -> None:
    """Check that categories exist, and that each label of a policy has one.

    Args:
        adapter: name of the adapter.
        policy: the policy.
        categories: category of the model → slug of a label.
        known: all categories of the model.

    Raises:
        Misconfigured: a category or label does not exist, or a label has no category.
    """
    names, slugs = list(known), [label.slug for label in policy.labels]
    where = f"moderation policy {policy.name}: engine option categories"
    if unknown := sorted(categories.keys() - set(names)):
        raise Misconfigured(f"{where}: {adapter} has no category {unknown[0]!r}; it has: {', '.join(names)}")
    if unknown := sorted(set(categories.values()) - set(slugs)):
        raise Misconfigured(f"{where}: the policy has no label {unknown[0]!r}; it has: {', '.join(slugs)}")
    if missing := [slug for slug in slugs if slug not in categories.values()]:
        raise Misconfigured(
            f"{where}: no category of {adapter} belongs to the label {missing[0]}, which it could not judge. Give it one of: "
            f"{', '.join(names)}"
        )


def label_probabilities(
    labels: Iterable[str], categories: Mapping[str, str], unsafe: float, named: Iterable[str] | None
) -> dict[str, float]:
    """The probability of each label.

    Args:
        labels: slugs of the labels.
        categories: category of the model → slug of a label.
        unsafe: probability that the content is unsafe.
        named: categories that the model named for unsafe content; None if it calls the content safe. Then `unsafe` bounds the
            probability of every label.
    """
    if named is None:
        return dict.fromkeys(labels, unsafe)
    hit = {categories[name] for name in named if name in categories}
    return {slug: unsafe if slug in hit else 0.0 for slug in labels}
