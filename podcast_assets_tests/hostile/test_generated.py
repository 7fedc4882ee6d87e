"""Two thousand tables, feeds and datasets of an attacker: each gives a result, or one message about it."""

from collections import Counter
from pathlib import Path

import pytest

from podcast_assets_tests.hostile.generated import checks
from podcast_assets_tests.release.published import publish

pytestmark = pytest.mark.hostile

COUNTS = {"table": 150, "feed": 1_650, "dataset": 200}


@pytest.mark.parametrize("kind", COUNTS)
def test_generated_input_gives_a_result_or_a_message(kind: str, tmp_path: Path) -> None:
    check = checks(publish(tmp_path / "made").folder)[kind]
    outcomes: Counter[str] = Counter()
    for seed in range(COUNTS[kind]):
        folder = tmp_path / str(seed)
        folder.mkdir()
        outcomes[check(seed, folder)] += 1
    assert len(outcomes) > 2, f"the generator reaches little: {outcomes}"
