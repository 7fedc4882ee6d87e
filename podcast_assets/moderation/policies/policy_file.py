"""Parser of moderation policies: YAML front matter and Markdown. No I/O.

---
name: mine
version: 1
engine: openai
thresholds: {hate_speech: 0.7}
---
## Overview
## Definition of Terms
## Interpretation of Language
## Definition of Labels
### (HS): Hate speech
#### Includes
#### Excludes
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.language_codes import language_code
from podcast_assets.moderation.policies.sections import LabelSection, PolicyError, read_labels
from podcast_assets.moderation.protocol import ANY_LABEL, Label, ModerationPolicy, Probe

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
RESERVED = frozenset({ANY_LABEL, "needs_review", "not_judged", "flagged", "clean", "and", "or"})
"""Words with a meaning of their own in rules, which no label may be called."""
_FENCE = re.compile(r"---[ \t]*")


class _ProbeRow(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: str | None = None
    text: str = Field(min_length=1)
    flagged: bool


class _FrontMatter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=rf"^{NAME.pattern}$")
    version: Annotated[str, BeforeValidator(str)] = Field(min_length=1)
    description: str = ""
    language: str | None = None
    engine: str = Field(min_length=1)
    threshold: float = Field(default=0.5, gt=0, le=1)
    thresholds: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}
    probes: list[_ProbeRow] = []
    window_words: int = Field(default=300, ge=10)
    engine_options: dict[str, Any] = {}


def parse_policy(content: bytes, file: str) -> ModerationPolicy:
    """Parse a moderation policy.

    Args:
        content: bytes of the file.
        file: its name, for error messages.

    Raises:
        Misconfigured: the policy is invalid; the message names the file and the line.
    """
    try:
        lines = content.decode().removeprefix("\ufeff").splitlines()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Misconfigured(f"{file}, line {line}: not UTF-8: save the moderation policy as UTF-8") from None
    try:
        return _parse(lines, hashlib.sha256(content).hexdigest())
    except PolicyError as error:
        raise Misconfigured(f"{file}, line {error.line}: {error}") from None


def _parse(lines: Sequence[str], digest: str) -> ModerationPolicy:
    end = _find_end_of_front_matter(lines)
    front, root = _parse_front_matter(lines[1:end])
    markdown = "\n".join(lines[end + 1 :])
    try:
        sections = read_labels(markdown)
    except PolicyError as error:
        raise PolicyError(error.line + end + 1, str(error)) from None
    slugs = _name_labels(sections, offset=end + 1)
    thresholds = _read_thresholds(front, slugs, sections, root)
    language = _read_language(front, root)
    return ModerationPolicy(
        name=front.name,
        version=front.version,
        language=language,
        engine=front.engine,
        text=markdown.strip() + "\n",
        labels=tuple(
            Label(s.code, s.name, slug, s.includes, s.excludes, thresholds.get(slug, front.threshold), s.definition)
            for slug, s in zip(slugs, sections, strict=True)
        ),
        probes=_read_probes(front, slugs, sections, root),
        hash=digest,
        window_words=front.window_words,
        engine_options=front.engine_options,
        description=front.description,
    )


def _find_end_of_front_matter(lines: Sequence[str]) -> int:
    if not lines or not _FENCE.fullmatch(lines[0]):
        raise PolicyError(
            1, "the file must begin with front matter: a line `---`, then `name:`, `version:` and `engine:`"
        )
    for number, line in enumerate(lines[1:], start=1):
        if _FENCE.fullmatch(line):
            return number
    raise PolicyError(1, "the front matter is not closed by a line `---`")


def _parse_front_matter(lines: Sequence[str]) -> tuple[_FrontMatter, yaml.Node | None]:
    text = "\n".join(lines)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise PolicyError(mark.line + 2 if mark else 1, f"the front matter is not valid YAML: {problem}") from None
    if not isinstance(values, dict):
        raise PolicyError(2, "the front matter must have the lines `name:`, `version:` and `engine:`")
    try:
        return _FrontMatter(**{str(k): v for k, v in values.items()}), root
    except ValidationError as error:
        first = error.errors()[0]
        what = ".".join(map(str, first["loc"]))
        raise PolicyError(_line_of(root, first["loc"]), f"{what}: {first['msg']}") from None


def _line_of(node: yaml.Node | None, path: Sequence[int | str]) -> int:
    """Line in the file of a value in the front matter; that of what surrounds it if it does not exist."""
    line = 0
    for step in path:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    line, found = key.start_mark.line, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = node.value[step]
            line = found.start_mark.line
        if found is None:
            break
        node = found
    return line + 2  # after the line `---`, and counted from 1


def _name_labels(sections: Sequence[LabelSection], offset: int) -> list[str]:
    slugs: list[str] = []
    for section in sections:
        slug = re.sub(r"\W+", "_", section.name.casefold()).strip("_")
        line = section.line + offset
        if not slug or not slug[0].isalpha() or slug in RESERVED:
            raise PolicyError(line, f"a label cannot be called {section.name!r}: choose another name")
        if slug in slugs:
            raise PolicyError(line, f"two labels are called {slug}")
        if [s.code for s in sections].count(section.code) > 1:
            raise PolicyError(line, f"two labels have the code ({section.code})")
        slugs.append(slug)
    return slugs


def _resolve_label(name: str, slugs: Sequence[str], sections: Sequence[LabelSection], line: int) -> str:
    """Slug of a label that the front matter calls by its slug or code."""
    for slug, section in zip(slugs, sections, strict=True):
        if name in (slug, section.code):
            return slug
    raise PolicyError(line, f"there is no label {name!r}; there are: {', '.join(slugs)}")


def _read_thresholds(
    front: _FrontMatter, slugs: Sequence[str], sections: Sequence[LabelSection], root: yaml.Node | None
) -> dict[str, float]:
    return {
        _resolve_label(name, slugs, sections, _line_of(root, ("thresholds", name))): value
        for name, value in front.thresholds.items()
    }


def _read_probes(
    front: _FrontMatter, slugs: Sequence[str], sections: Sequence[LabelSection], root: yaml.Node | None
) -> tuple[Probe, ...]:
    found = []
    for index, row in enumerate(front.probes):
        line = _line_of(root, ("probes", index))
        label = None if row.label in (None, ANY_LABEL) else _resolve_label(row.label, slugs, sections, line)
        found.append(Probe(label, row.text.strip(), row.flagged))
    if {p.flagged for p in found} != {True, False}:
        raise PolicyError(
            _line_of(root, ("probes",)),
            "probes: write at least one text that is to be flagged and one that is not, by which a classifier is tried",
        )
    return tuple(found)


def _read_language(front: _FrontMatter, root: yaml.Node | None) -> str | None:
    if front.language is None:
        return None
    code = language_code(front.language)
    if code is None:
        raise PolicyError(
            _line_of(root, ("language",)), f"language: {front.language} is not a language code such as en"
        )
    return code
