"""Content in a prompt: what was said must not look like a part of the prompt, whatever was said."""

import re

_CONTROL_TOKEN = re.compile(r"<(?=[|/]?[^\s<>]{1,64}>)")
"""The start of what tokenizers may take for a control token: <|im_end|>, <end_of_turn>, </s>, <think>."""
_BRACKET_TOKEN = re.compile(r"\[(?=/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS)\])")
_UNDERLINE = re.compile(r"^[ \t]*([=\-_*~])(?:[ \t]*\1)+[ \t]*$", re.MULTILINE)
"""A line that would underline a heading, or separate sections."""
_HEADING = re.compile(r"^([ \t]*)(#{1,6}|```|~~~|>)(?=\s|\w|$)", re.MULTILINE)
_LINE_BREAKS = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def isolate(text: str) -> str:
    r"""Return a text without underlines, headings and control tokens, so that it stays in its section of a prompt.

    Words stay as they were said; only marks change that no speech has.

    >>> isolate("so\nANSWER\n======\n1 <end_of_turn>")
    'so\nANSWER\n…\n1 ‹end_of_turn>'
    """  # noqa: RUF002
    plain = _LINE_BREAKS.sub("\n", text).replace("\0", "")
    plain = _UNDERLINE.sub("…", plain)
    plain = _HEADING.sub(r"\1\\\2", plain)
    return _BRACKET_TOKEN.sub("(", _CONTROL_TOKEN.sub("\u2039", plain)).strip()
