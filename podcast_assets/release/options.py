"""Options of a release, from the settings."""

from dataclasses import dataclass

from podcast_assets.config.settings import Settings
from podcast_assets.quality.policies.policy import Policy, load_policy
from podcast_assets.release.selection import Publish


@dataclass(frozen=True)
class ReleaseOptions:
    """Options of a release."""

    publish: Publish
    licenses: str
    """Value of PODCAST_LICENSES."""
    shard_bytes: int
    codec: str
    """Suffix of the audio members, used if there are no samples yet."""
    gated: bool = False
    purge_history: bool = True
    """Whether to purge taken-down content from the history of a repository."""
    exclude: str = ""
    """Value of PODCAST_EXCLUDE."""
    dropped: frozenset[str] = frozenset()
    """Batches to remove from the dataset although the store does not have them."""
    policy: str | None = None
    """Value of PODCAST_POLICY: its rules on what people reviewed apply to releases. None applies none."""

    def review_policy(self) -> Policy | None:
        """Load the policy whose rules on reviews apply.

        Raises:
            Misconfigured: there is no such policy, or it is invalid.
        """
        return None if self.policy is None else load_policy(self.policy)


def release_options(settings: Settings, dropped: frozenset[str] = frozenset()) -> ReleaseOptions:
    """Make release options from the settings."""
    return ReleaseOptions(
        publish=settings.publish,
        licenses=settings.licenses,
        shard_bytes=settings.shard_bytes,
        codec=settings.shard_codec,
        gated=settings.hub_gated,
        purge_history=settings.purge_history,
        exclude=settings.exclude,
        dropped=dropped,
        policy=settings.policy,
    )
