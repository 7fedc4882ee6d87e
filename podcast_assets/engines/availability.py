"""Availability of an engine on this machine."""

import importlib.metadata

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import models
from podcast_assets.engines.engine import Engine


def check_available(engine: Engine) -> tuple[bool, str]:
    """Check whether an engine can be loaded here, with the reason for people. Downloads nothing; may ask the hub.

    Args:
        engine: with its settings.
    """
    if missing := missing_packages(engine):
        extra = f"pip install 'podcast-assets[{engine.extra}]'" if engine.extra else f"pip install {' '.join(missing)}"
        return False, f"{engine.name} needs {', '.join(missing)}: {extra}"
    try:
        if complaint := engine.complaint():
            return False, complaint
        if not (wanted := engine.hub_models()):
            model = f" {getattr(engine, 'model', '')}".rstrip()
            return True, f"the model{model} of {engine.name} is on this machine"
    except EngineUnavailable as error:
        return False, str(error)
    told = [models.check_available(model) for model in wanted]
    missing_model = next((why for found, why in told if not found), None)
    return missing_model is None, missing_model or "; ".join(why for _, why in told)


def missing_packages(engine: Engine) -> list[str]:
    """Distributions that an engine needs and that are not installed."""
    missing = []
    for package in engine.packages:
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    return missing
