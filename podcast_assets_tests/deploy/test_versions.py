"""Versions that deploy/ writes down are those of constraints.txt and setup.cfg."""

import configparser
import re

import yaml

from podcast_assets_tests.conftest import CHECKOUT
from podcast_assets_tests.deploy.conftest import DEPLOY, KUBERNETES, OVERLAYS, locked, pod_templates, render


def own_version() -> str:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(CHECKOUT / "setup.cfg")
    return setup["metadata"]["version"]


def test_images_are_of_this_version() -> None:
    for overlay in OVERLAYS:
        manifests = render(overlay)
        images = {c["image"] for m in manifests for t in pod_templates(m).values() for c in t["spec"]["containers"]} | {
            m["data"]["RUN_IMAGE"] for m in manifests if m["kind"] == "ConfigMap" and "RUN_IMAGE" in m["data"]
        }
        ours = {i for i in images if i.startswith("podcast-assets")}
        assert ours
        assert {i.partition(":")[2] for i in ours} == {own_version()}
        assert all(re.search(r":v?\d", i) for i in images), "each image says its version"
    for path in [
        KUBERNETES / "fetch-models.yaml",
        KUBERNETES / "overlays/ray/rayjob.yaml",
        DEPLOY / "images/Dockerfile",
        DEPLOY / "compose/compose.yaml",
        DEPLOY / "compose/gpu.yaml",
    ]:
        versions = set(re.findall(r"podcast-assets(?:-gpu)?:(\S+)", path.read_text()))
        assert versions == {own_version()}, path
    assert set(re.findall(r"tag: (\S+)|podcast-assets-gpu:(\S+)", (DEPLOY / "helm/values.yaml").read_text())) == {
        (own_version(), ""),
        ("", own_version()),
    }


def test_ray_is_the_locked_one_everywhere() -> None:
    [cluster] = [m for m in render("overlays/ray") if m["kind"] == "RayCluster"]
    job = yaml.safe_load((KUBERNETES / "overlays/ray/rayjob.yaml").read_text())
    assert cluster["spec"]["rayVersion"] == job["spec"]["rayClusterSpec"]["rayVersion"] == locked("ray")


def test_python_is_the_one_that_the_libraries_path_names() -> None:
    dockerfile = (DEPLOY / "images/Dockerfile").read_text()
    [image] = re.findall(r"^ARG PYTHON=python:(\d+\.\d+)", dockerfile, re.MULTILINE)
    assert set(re.findall(r"lib/python(\d+\.\d+)/", dockerfile)) == {image}
    assert f"/python{image}/" in (DEPLOY / "systemd/environment.example").read_text()
    assert f"PYTHON=python{image}\n" in (DEPLOY / "node/install.sh").read_text()


def test_the_image_installs_extras_that_there_are() -> None:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(CHECKOUT / "setup.cfg")
    extras = set(setup["options.extras_require"])
    assert set(re.findall(r"--extra (\w+)", (DEPLOY / "images/Dockerfile").read_text())) <= extras
    [asked] = re.findall(r"podcast-assets\[([\w,]+)\]'", (DEPLOY / "node/install.sh").read_text())
    assert set(asked.split(",")) <= extras
