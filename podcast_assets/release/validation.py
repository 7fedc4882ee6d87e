"""Types of the values in a published dataset, which may be a stranger's."""

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError


def _check_path(text: str) -> str:
    if not text.isprintable() or "\\" in text or {"", ".", ".."} & {*text.split("/")}:
        raise ValueError("not a path in the dataset")
    return text


def _check_name(text: str) -> str:
    if "/" in _check_path(text):
        raise ValueError("not a name")
    return text


RelativePath = Annotated[str, Field(max_length=1000), AfterValidator(_check_path)]
"""Path that stays in its folder and can be printed."""
Name = Annotated[str, Field(max_length=200), AfterValidator(_check_name)]
"""Name of a file or folder."""
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def describe_first_error(error: ValidationError) -> str:
    """Describe the first error of a validation in one line, without the value, which may be of any size."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"])).encode("unicode_escape").decode()[:100]
    return f"{field}: {first['msg']}" if field else str(first["msg"])
