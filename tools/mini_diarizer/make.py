"""Write the pipeline of `podcast_assets_tests/fixtures/pyannote_rules`.

python -m tools.mini_diarizer.make [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

from podcast_assets.speech.diarizers.pyannote.pipeline import import_pyannote
from podcast_assets_tests.fixtures.pyannote_folder import write_pipeline
from tools.voiceprints.voiceprints import COEFFICIENTS, WEIGHTS

FOLDER = Path("podcast_assets_tests/fixtures/pyannote_rules")
VALUES = {
    # the rules end a stretch at every short pause: the pauses are filled at the end
    "segmentation": {"min_duration_off": 0.5},
    "clustering": {"method": "centroid", "min_cluster_size": 4, "threshold": 0.7},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER)
    out = parser.parse_args().out
    import_pyannote()  # before what imports it too
    import torch

    from podcast_assets_tests.fixtures.rules_pipeline import RuleSegmentation, SpectralEmbedding

    embedding, segmentation = SpectralEmbedding(), RuleSegmentation()
    with np.load(WEIGHTS) as trained:
        lda = {name: torch.from_numpy(trained[name]) for name in ("mean", "projection")}
    for model in (embedding, segmentation.embedding):
        model.load_state_dict(lda)
    write_pipeline(out, segmentation, embedding, (COEFFICIENTS, COEFFICIENTS), "AgglomerativeClustering", VALUES)
    print(f"{out}: {sum(f.stat().st_size for f in out.rglob('*') if f.is_file()):,} bytes")


if __name__ == "__main__":
    main()
