"""Find and load moderation policies: those of the package, and a folder of their own."""

from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from podcast_assets.common.errors import Misconfigured
from podcast_assets.moderation.policies.policy_file import parse_policy
from podcast_assets.moderation.protocol import ModerationPolicy

SUFFIX = ".md"


def policy_files(folder: str | None) -> dict[str, Traversable | Path]:
    """Map names to files; a policy in the folder takes precedence over one of the package with the same name.

    Raises:
        Misconfigured: the folder does not exist.
    """
    packaged = files("podcast_assets.moderation.policies")
    found: dict[str, Traversable | Path] = {
        f.name.removesuffix(SUFFIX): f for f in packaged.iterdir() if f.name.endswith(SUFFIX)
    }
    if folder:
        own = Path(folder).expanduser()
        if not own.is_dir():
            raise Misconfigured(f"PODCAST_MODERATION_POLICIES: {own} is not a folder")
        found |= {f.stem: f for f in own.iterdir() if f.suffix == SUFFIX and f.stem.lower() != "readme"}
    return dict(sorted(found.items()))


def load_policy(name: str, folder: str | None = None) -> ModerationPolicy:
    """Load a moderation policy.

    Args:
        name: its name, or the path of a Markdown file.
        folder: folder of policies beside those of the package.

    Raises:
        Misconfigured: it does not exist or is invalid; the message names the file and the line.
    """
    if name.endswith(SUFFIX):
        file: Traversable | Path = Path(name).expanduser()
        if not file.is_file():
            raise Misconfigured(f"the moderation policy {file} does not exist")
    else:
        known = policy_files(folder)
        if name not in known:
            raise Misconfigured(
                f"no moderation policy is called {name!r}; there are: {', '.join(known)}. Policies of your own are Markdown files "
                "in the folder PODCAST_MODERATION_POLICIES"
            )
        file = known[name]
    policy = parse_policy(file.read_bytes(), str(file))
    if policy.name != (stem := file.name.removesuffix(SUFFIX)):
        raise Misconfigured(f"{file}: the policy is named {policy.name!r}: rename the file, or the policy to {stem!r}")
    return policy


def load_policies(names: str, folder: str | None = None) -> tuple[ModerationPolicy, ...]:
    """Load the policies of a setting such as `profanity,harmful`, in order.

    Raises:
        Misconfigured: one does not exist or is invalid, or two have the same name.
    """
    found = tuple(load_policy(name, folder) for name in split_names(names))
    called = [policy.name for policy in found]
    if twice := sorted({name for name in called if called.count(name) > 1}):
        raise Misconfigured(f"PODCAST_MODERATION names two moderation policies that are called {twice[0]}")
    return found


def split_names(names: str) -> Iterable[str]:
    """Names in a setting, without duplicates."""
    return dict.fromkeys(filter(None, (name.strip() for name in names.split(","))))
