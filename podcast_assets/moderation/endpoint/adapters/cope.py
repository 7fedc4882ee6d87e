"""What the adapters of CoPE share: the sections of its prompt, and one question per label.

The models read a policy and answer whether ANY of its labels applies, so each question has a policy with one label. Format:
https://huggingface.co/zentropi-ai/cope-a-9b and https://huggingface.co/zentropi-ai/cope-b-a4b.
"""

from podcast_assets.moderation.endpoint.adapters.adapter import policy_text
from podcast_assets.moderation.endpoint.adapters.content import isolate
from podcast_assets.moderation.protocol import Label, ModerationPolicy

INSTRUCTION = (
    "Examine the given POLICY and determine if the given CONTENT meets the criteria for ANY of the LABELS. "
    'Answer "1" if yes, and "0" if no.'
)


def build_prompt(policy: ModerationPolicy, label: Label, content: str, *, headings: bool = True) -> str:
    """Build the prompt for one label.

    Args:
        policy: the policy.
        label: the label that is asked for.
        content: text of a window.
        headings: whether the instruction and the answer have a heading. CoPE-A was trained with them.
    """
    sections = _section("POLICY", policy_text(policy, label)) + "\n\n" + _section("CONTENT", isolate(content))
    if headings:
        return f"{_section('INSTRUCTIONS', INSTRUCTION)}\n\n{sections}\n\n{_section('ANSWER', '')}"
    return f"{INSTRUCTION}\n\n\n{sections}"


def _section(heading: str, text: str) -> str:
    return f"{heading}\n{'=' * len(heading)}\n\n{text}" + ("\n" if text else "")
