"""Templates. Everything in them is escaped unless it is marked as safe, and only the policies' Markdown is."""

import datetime
import functools
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from podcast_assets.common.redaction import redact_text
from podcast_assets.review.accounts import Session
from podcast_assets.review.agreement import Agreement


def render(
    request: Request,
    template: str,
    values: Mapping[str, Any],
    *,
    session: Session | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Render a template as a response.

    Args:
        request: the request.
        template: name of the template.
        values: its variables.
        session: session of whoever asked; its name, role and CSRF token are shown.
        status: HTTP status.
        headers: headers of the response.
    """
    variables = {"session": session, "user": session and session.user, "path": request.url.path} | dict(values)
    return HTMLResponse(_templates().get_template(template).render(variables), status, headers)


def format_time(seconds: float | None) -> str:
    """Format seconds as `1:02:03.4`."""
    if seconds is None:
        return "unknown"
    tenths = round(max(0.0, seconds) * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"


def format_number(value: Any) -> str:
    """Format a score for reading: three significant digits, words for truth values."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(format_number(part) for part in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {format_number(part)}" for name, part in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def format_date(moment: datetime.datetime | None) -> str:
    """Format a moment as a date and time in UTC."""
    return "unknown" if moment is None else moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def format_agreement(agreement: Agreement) -> str:
    """Format kappa or alpha with its 95 % interval."""
    if agreement.value is None:
        return "not defined"
    interval = "" if agreement.low is None else f" ({agreement.low:.2f} to {agreement.high:.2f})"
    return f"{agreement.value:.2f}{interval}"


def markdown(text: str) -> Markup:
    """Render Markdown without HTML, images and links to elsewhere."""
    return Markup(_markdown().render(text))  # noqa: S704 - HTML in the text is escaped


@functools.cache
def _markdown() -> Any:
    from markdown_it import MarkdownIt

    # "zero" knows no HTML; images would be loaded, and links lead away from the work
    return (
        MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink", "html_block"])
    )


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("podcast_assets.review.app"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "time": format_time,
        "number": format_number,
        "date": format_date,
        "agreement": format_agreement,
        "markdown": markdown,
        "redacted": lambda text: redact_text(text or ""),
    }
    environment.globals["pairs"] = lambda values: [(value, value) for value in values]
    return environment
