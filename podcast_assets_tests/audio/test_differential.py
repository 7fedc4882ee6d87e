"""Spliced recordings have the duration and the samples that FFmpeg's libraries find, or a known reason to differ."""

import pytest

from benchmarks.differential import compare
from podcast_assets_tests.audio.spliced import KINDS, splice

SEEDS = 3 * len(KINDS)


@pytest.mark.parametrize("first", range(0, SEEDS, len(KINDS)))
def test_spliced_recordings_decode_as_with_ffmpeg(first: int) -> None:
    for seed in range(first, first + len(KINDS)):
        file = splice(seed)
        compared = compare(file, None)
        assert compared.explained, f"seed {seed} ({file.kind}, {file.action}): {compared.details}"
