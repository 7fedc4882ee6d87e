"""`podcast-assets models …` and `podcast-assets doctor`: the models and this machine."""

import dataclasses
import json
import logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from podcast_assets.cli.terminal import (
    PROFILE,
    STORE,
    json_option,
    load_settings,
    messages,
    output,
    print_json,
    print_line,
)
from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.engines import model_lock, packaged_models
from podcast_assets.engines.model_cache import HubModel, models_folder
from podcast_assets.engines.models import fetch_model, find_model, locked_model, verify_files
from podcast_assets.engines.packaged_models import PackagedModel

if TYPE_CHECKING:
    from podcast_assets.cli.doctor import DoctorReport
    from podcast_assets.config.settings import Settings
    from podcast_assets.stages.profiles import Profile

_JSON = json_option("one JSON object")


@click.group()
def models() -> None:
    """List, download and verify the models that the profile's engines need."""


@models.command("list")
@PROFILE
@_JSON
def list_models(profile: str | None, as_json: bool) -> None:
    """List the models that the profile needs, and other downloaded models. Works offline unless the profile is `auto`."""
    chosen, needed = _profile_models(profile)
    rows = [
        _packaged_row(engine, model) if isinstance(model, PackagedModel) else _needed_row(engine, model)
        for engine, model in needed
    ]
    listed = {row.key for row in rows}
    rows += [
        _downloaded_row(key, entry)
        for key, entry in model_lock.read_lock_file(models_folder()).items()
        if key not in listed
    ]
    if as_json:
        print_json({"profile": chosen.name, "folder": str(models_folder()), "models": [r.to_json() for r in rows]})
        return
    table = Table("engine", "model", "revision", "size", "licence", "folder")
    for row in rows:
        table.add_row(*map(escape, row.cells()))
    if rows:
        output.print(table)
    if not needed:
        output.print(_no_models_message(chosen), markup=False, soft_wrap=True)


@models.command("fetch")
@click.argument("repos", nargs=-1, metavar="[REPO]...")
@PROFILE
@click.option("--update", is_flag=True, help="Update to the newest commits and record them; pinned models stay.")
def fetch_models(repos: tuple[str, ...], profile: str | None, update: bool) -> None:
    """Download the models that the profile needs, or the named ones. Interrupted downloads are resumed.

    A model that an installed package contains is not downloaded, but checked, and its parts are joined.
    """
    logging.getLogger("podcast_assets.engines").setLevel(logging.WARNING)  # the progress bar shows the same
    chosen, needed = _profile_models(profile)
    requested = _models_by_repo(repos, needed) if repos else [model for _, model in needed]
    if not requested:
        print_line(_no_models_message(chosen))
    failed = False
    for model in dict.fromkeys(requested):
        try:
            if isinstance(model, PackagedModel):
                folder = packaged_models.prepare(model)
                print_line(f"{model.repo}: nothing to download, it is in {model.requirements}; in {folder}")
                continue
            with _DownloadBar() as bar:
                folder = fetch_model(model, update=update, watch=bar)
        except EngineUnavailable as error:
            failed = True
            print_line((f"podcast-assets: {error}", "red"))
        else:
            print_line(f"{model.repo}: commit {folder.name[:12]}, in {folder}")
    if failed:
        sys.exit(2)


@models.command("verify")
@click.argument("repos", nargs=-1, metavar="[REPO]...")
def verify_models(repos: tuple[str, ...]) -> None:
    """Check the downloaded models, and those of installed packages, against their checksums. Exits with 1 if any file differs."""
    load_settings()
    entries = model_lock.read_lock_file(models_folder())
    packaged = [m for known in packaged_models.MODELS if (m := packaged_models.installed_model(known.repo))]
    if unknown := set(repos) - {model.repo for model in (*entries.values(), *packaged)}:
        raise BadInput(f"not downloaded to {models_folder()}: {', '.join(sorted(unknown))}")
    if not entries:
        print_line(f"no models have been downloaded to {models_folder()} yet")
    if not entries and not packaged:
        return
    checked, differing, damaged = 0, 0, 0
    for _, file, difference in verify_files((k, e) for k, e in entries.items() if not repos or e.repo in repos):
        checked += 1
        if difference:
            differing += 1
            output.print(
                f"{difference.model}: {file} {difference.problem}: {difference.path}", markup=False, soft_wrap=True
            )
    for problem in (p for m in packaged if not repos or m.repo in repos for p in packaged_models.verify(m)):
        checked += 1
        if problem:
            damaged += 1
            output.print(problem, markup=False, soft_wrap=True)
    if damaged:
        print_line((f"{damaged} of {checked} files of packages differ", "red"))
    if differing:
        print_line((f"{differing} of {checked} files differ: delete them and run `podcast-assets models fetch`", "red"))
    if differing or damaged:
        sys.exit(1)
    print_line(f"all {checked} files match their checksums")


@click.command()
@PROFILE
@STORE
@click.option("--quick", is_flag=True, help="Do not load engines or transcribe the test clip.")
@click.option("--settings", "with_settings", is_flag=True, help="Also print the engines' settings (PODCAST_ENGINES).")
@click.option("--strict", is_flag=True, help="Exit with 3 if there are warnings and no problems.")
@click.option("--node", metavar="NAME", help="Check a machine of the Ray cluster instead, or `all` of them.")
@_JSON
def doctor(
    profile: str | None,
    store: str | None,
    quick: bool,
    with_settings: bool,
    strict: bool,
    node: str | None,
    as_json: bool,
) -> None:
    """Check whether the profile can run on this machine and say how to fix what is missing. Exits with 0 if it can.

    It exits with 1 if a problem keeps the profile from running, and with --strict with 3 if there are only warnings.
    """
    from podcast_assets.cli.doctor import examine

    if node is not None:
        _examine_nodes(load_settings(profile=profile, store=store), node, load=not quick, as_json=as_json)
        return
    with messages.status("checking this machine"):
        report = examine(load_settings(profile=profile, store=store), load=not quick)
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report, with_settings=with_settings)
    sys.exit({"ok": 0, "warning": 3 if strict else 0, "error": 1}[report.severity])


def _examine_nodes(settings: "Settings", name: str, *, load: bool, as_json: bool) -> None:
    from podcast_assets.cli.doctor.nodes import examine_nodes

    with messages.status("checking the machines of the cluster"):
        reports = examine_nodes(settings, name, load=load)
    if as_json:
        print_json([{"node": node.name} | report.to_json() for node, report in reports])
    for node, report in [] if as_json else reports:
        print_line((f"{node.name} ({node.address})", "bold"))
        _print_report(report, with_settings=False)
    sys.exit(0 if all(report.can_run for _, report in reports) else 1)


@dataclass(frozen=True)
class _ModelRow:
    """Row of `models list`."""

    key: str
    engine: str | None
    repo: str
    revision: str | None
    chosen: str
    """Origin of the revision: "pinned" by the engine, "locked" at the first download, "none" yet, or "package"."""
    bytes: int | None
    """Size of the files; None if not downloaded."""
    megabytes: int | None
    """Approximate size of the download."""
    licence: str
    gated: bool | None
    where: Path | None
    package: str | None = None
    """Requirements of the installed packages that contain it, as pip takes them."""

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"where": self.where and str(self.where)}

    def cells(self) -> list[str]:
        size = f"{self.bytes / 1e6:.0f} MB" if self.bytes is not None else f"about {self.megabytes} MB"
        return [
            self.engine or "",
            self.repo,
            f"{self.chosen} {self.revision[:12]}" if self.revision else self.chosen,
            size,
            self.licence + (", gated" if self.gated else ""),
            str(self.where) if self.where else f"in {self.package}" if self.package else "not downloaded",
        ]


def _needed_row(engine: str, model: HubModel) -> _ModelRow:
    """Row of a model that the profile needs."""
    entry = locked_model(model)
    return _ModelRow(
        key=model.lock_key,
        engine=engine,
        repo=model.repo,
        revision=model.revision or (entry.commit if entry else None),
        chosen="pinned" if model.revision else "locked" if entry else "none",
        bytes=sum(f.bytes for f in entry.files.values()) if entry else None,
        megabytes=model.megabytes,
        licence=model.licence,
        gated=model.gated,
        where=find_model(model),
    )


def _packaged_row(engine: str, model: PackagedModel) -> _ModelRow:
    """Row of a model that installed packages contain."""
    return _ModelRow(
        key=model.requirements,
        engine=engine,
        repo=model.repo,
        revision=None,
        chosen="package",
        bytes=model.bytes,
        megabytes=round(model.bytes / 1e6),
        licence=model.licence,
        gated=False,
        where=packaged_models.find_folder(model),
        package=model.requirements,
    )


def _downloaded_row(key: str, entry: model_lock.LockedModel) -> _ModelRow:
    """Row of a downloaded model that the profile does not need."""
    size = sum(f.bytes for f in entry.files.values())
    where = find_model(HubModel(entry.repo, entry.patterns, 0, entry.licence, key.partition("@")[2] or None))
    chosen = "pinned" if "@" in key else "locked"
    return _ModelRow(key, None, entry.repo, entry.commit, chosen, size, None, entry.licence, None, where)


def _profile_models(profile: str | None) -> tuple["Profile", list[tuple[str, HubModel | PackagedModel]]]:
    """The chosen profile, and for each model that it needs the names of the engines and the model."""
    from podcast_assets.stages.profiles import choose_profile, engines_of

    chosen = choose_profile(load_settings(profile=profile))
    users: dict[HubModel | PackagedModel, list[str]] = {}
    for engine in engines_of(chosen):
        for model in (*engine.packaged_models(), *engine.hub_models()):
            names = users.setdefault(model, [])
            if engine.name not in names:
                names.append(engine.name)
    return chosen, [(", ".join(names), model) for model, names in users.items()]


def _no_models_message(chosen: "Profile") -> str:
    return f"the profile {chosen.name} (chosen because {chosen.reason}) needs no models to be fetched"


def _models_by_repo(
    repos: Iterable[str], needed: Iterable[tuple[str, HubModel | PackagedModel]]
) -> list[HubModel | PackagedModel]:
    """Find the models of repositories, as the profile needs them, else as engines need them by default.

    Raises:
        BadInput: no engine needs one of them.
    """
    from podcast_assets.cli.doctor.engines import default_engines, needed_models

    known: dict[str, HubModel | PackagedModel] = {
        model.repo: model for model in needed_models(engine for _, engine in default_engines())
    }
    known |= {m.repo: m for each in packaged_models.MODELS if (m := packaged_models.installed_model(each.repo))}
    known |= {model.repo: model for _, model in needed}
    if unknown := [repo for repo in repos if repo not in known]:
        models = ", ".join(sorted(known)) or "none"
        raise BadInput(f"no engine needs {', '.join(unknown)}; models that engines need: {models}")
    return [known[repo] for repo in repos]


class _DownloadBar:
    """Progress bar on standard error; without a terminal, one line with the size of the download."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=messages,
            disable=not messages.is_terminal,
            transient=True,
        )

    def __enter__(self) -> "_DownloadBar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, model: HubModel, commit: str, missing: int) -> None:
        if missing:
            print_line(f"{model.repo}: {missing / 1e6:.1f} MB to download (commit {commit[:12]})")
            self._task = self._progress.add_task(escape(model.repo), total=missing)

    def advance(self, size: int) -> None:
        if self._progress.tasks:
            self._progress.advance(self._task, size)


def _print_report(report: "DoctorReport", *, with_settings: bool) -> None:
    styles = {"ok": "green", "warning": "yellow", "missing": "yellow"}
    for area, findings in report.by_area().items():
        output.rule(area, align="left", style="dim")
        for f in findings:
            style = "red" if f.blocks else styles[f.state]
            output.print(f"[{style}]{f.state:>7}[/]  {escape(f.what)}", soft_wrap=True)
            if f.todo:
                output.print(f"{'':>7}  → {escape(f.todo)}", soft_wrap=True)
    if with_settings:
        output.rule("settings of engines, as PODCAST_ENGINES takes them", align="left", style="dim")
        for name, values in report.settings.items():
            output.print(escape(f"{name}: {json.dumps(values, ensure_ascii=False)}"), soft_wrap=True)
    output.rule(style="dim")
    output.print(escape(report.verdict), style="green" if report.can_run else "red", soft_wrap=True)
