"""Sections of a moderation policy: its Markdown, split at headings. No I/O."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LABELS = "Definition of Labels"
REQUIRED = ("Overview", LABELS)
"""Headings of the second level that a policy must have."""
_LABEL = re.compile(r"\(\s*(?P<code>[^()\s][^()]*?)\s*\)\s*:?\s*(?P<name>\S.*)")


class PolicyError(ValueError):
    """A policy is invalid at a line."""

    def __init__(self, line: int, message: str) -> None:
        """Remember the line, counted from 1 in the text that was parsed."""
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Section:
    """A heading with everything below it, up to the next heading of its level or above."""

    level: int
    title: str
    line: int
    """Line of the heading, counted from 1."""
    text: str
    """The heading and its content."""
    body: str
    """The content without the heading."""
    sections: tuple["Section", ...]
    """Sections of the next levels inside of it."""


@dataclass(frozen=True)
class LabelSection:
    """Section of a label, such as `### (HS): Hate speech`."""

    code: str
    name: str
    line: int
    includes: str
    excludes: str
    definition: str


def read_labels(markdown: str) -> tuple[LabelSection, ...]:
    """Return the labels of a policy, in order.

    Raises:
        PolicyError: a section is missing, or a label's heading is not `### (CODE): Name`.
    """
    top = [s for s in read_sections(markdown) if s.level == 2]
    for title in REQUIRED:
        _only_section(top, title, line=1, where="the policy", marks="##")
    definitions = next(s for s in top if _is_titled(s, LABELS))
    labels = tuple(_read_label(s) for s in definitions.sections if s.level == 3)
    if not labels:
        raise PolicyError(definitions.line, f"## {LABELS} has no label: write one as `### (HS): Hate speech`")
    return labels


def read_sections(markdown: str) -> tuple[Section, ...]:
    """Return all sections of a Markdown text, whatever their level, in order."""
    from markdown_it import MarkdownIt

    lines = markdown.splitlines()
    tokens = MarkdownIt("commonmark").parse(markdown)
    headings = [
        (int(t.tag[1:]), tokens[i + 1].content.strip(), t.map[0], t.map[1])
        for i, t in enumerate(tokens)
        if t.type == "heading_open" and t.level == 0 and t.map
    ]
    return tuple(_read_section(headings, index, lines) for index in range(len(headings)))


def _read_section(headings: Sequence[tuple[int, str, int, int]], index: int, lines: Sequence[str]) -> Section:
    level, title, begin, body = headings[index]
    inner = []
    end = len(lines)
    for other in range(index + 1, len(headings)):
        if headings[other][0] <= level:
            end = headings[other][2]
            break
        inner.append(other)
    return Section(
        level,
        title,
        begin + 1,
        "\n".join(lines[begin:end]).strip(),
        "\n".join(lines[body:end]).strip(),
        tuple(_read_section(headings, other, lines) for other in inner),
    )


def _read_label(section: Section) -> LabelSection:
    match = _LABEL.fullmatch(section.title)
    if not match:
        raise PolicyError(
            section.line, f"the heading of a label must be like `### (HS): Hate speech`, not `### {section.title}`"
        )
    where = f"the label {match['name']}"
    parts = {
        title: _only_section(section.sections, title, line=section.line, where=where, marks="####")
        for title in ("Includes", "Excludes")
    }
    for title, part in parts.items():
        if not part.body:
            raise PolicyError(part.line, f"#### {title} of {where} is empty")
    return LabelSection(
        match["code"],
        match["name"],
        section.line,
        parts["Includes"].body,
        parts["Excludes"].body,
        section.text,
    )


def _only_section(sections: Sequence[Section], title: str, *, line: int, where: str, marks: str) -> Section:
    found = list(_titled(sections, title))
    if not found:
        raise PolicyError(line, f"{where} has no section `{marks} {title}`")
    if len(found) > 1:
        raise PolicyError(found[1].line, f"{where} has a second section `{marks} {title}`")
    return found[0]


def _titled(sections: Sequence[Section], title: str) -> Iterator[Section]:
    return (s for s in sections if _is_titled(s, title))


def _is_titled(section: Section, title: str) -> bool:
    return section.title.casefold() == title.casefold()
