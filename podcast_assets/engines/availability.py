"""Whether an engine can be loaded on this machine."""

import importlib.metadata

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import models
from podcast_assets.engines.engine import Engine


def check_available(engine: Engine) -> tuple[bool, str]:
    """Check whether an engine can be loaded on this machine. Downloads nothing; may ask the hub.

    Returns:
        Whether it can, and a one-line explanation.
    """
    if missing := missing_packages(engine):
        extra = f"pip install 'podcast-assets[{engine.extra}]'" if engine.extra else f"pip install {' '.join(missing)}"
        return False, f"{engine.name} needs {', '.join(missing)}: {extra}"
    try:
        if reason := engine.unavailable_reason():
            return False, reason
        if not (required := engine.hub_models()):
            model = f" {getattr(engine, 'model', '')}".rstrip()
            packages = " and ".join(packaged.requirements for packaged in engine.packaged_models())
            where = f"in the package {packages}" if packages else "on this machine"
            return True, f"the model{model} of {engine.name} is {where}"
    except EngineUnavailable as error:
        return False, str(error)
    checks = [models.check_available(model) for model in required]
    problem = next((reason for available, reason in checks if not available), None)
    return problem is None, problem or "; ".join(reason for _, reason in checks)


def missing_packages(engine: Engine) -> list[str]:
    """List the distributions that an engine needs and that are not installed."""
    missing = []
    for package in engine.packages:
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    return missing
