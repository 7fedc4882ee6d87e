"""Word error rate and word times of a converted model on held-out sentences.

python -m tools.mini_whisper.evaluate podcast_assets/demo/model --utterances test.pkl
"""

import argparse
import pickle
import random
from collections import defaultdict
from pathlib import Path

import jiwer
import numpy as np
from faster_whisper import WhisperModel

from tools.mini_whisper.synthesize import FLITE_VOICES, SAMPLE_RATE

PADDING = 0.2
"""Seconds of silence on either side of an utterance, as around a speaker's turn."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--utterances", type=Path, required=True, help="file written by synthesize --held-out")
    parser.add_argument("--limit", type=int, default=150)
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--no-timestamps", action="store_true", help="decode without timestamp tokens")
    args = parser.parse_args()

    model = WhisperModel(str(args.model), device="cpu", compute_type="int8", cpu_threads=1)
    utterances = pickle.loads(args.utterances.read_bytes())
    random.Random(3).shuffle(utterances)
    texts: dict[str, list[tuple[str, str]]] = defaultdict(list)
    errors: list[tuple[float, float]] = []
    for u in utterances[: args.limit]:
        audio = np.pad(u["audio"].astype(np.float32) / 32768, int(PADDING * SAMPLE_RATE))
        segments, _ = model.transcribe(
            audio,
            language="en",
            beam_size=args.beam_size,
            word_timestamps=True,
            without_timestamps=args.no_timestamps,
            temperature=0.0,
            condition_on_previous_text=False,
        )
        words = [w for s in segments for w in s.words or []]
        heard = [w.word.strip(" .") for w in words]
        kind = "flite" if u["voice"] in FLITE_VOICES else "espeak-ng, variants not trained on"
        texts[kind].append((" ".join(u["words"]), " ".join(heard)))
        if heard == u["words"]:
            pairs = zip(words, u["times"], strict=True)
            errors += [(abs(w.start - PADDING - start), abs(w.end - PADDING - end)) for w, (start, end) in pairs]

    for kind, pairs in sorted(texts.items()):
        references, hypotheses = zip(*pairs, strict=True)
        print(f"{kind}: WER {jiwer.wer(list(references), list(hypotheses)):.3f} on {len(pairs)} sentences")
    start, end = np.median(errors, axis=0)
    print(f"word times in sentences without error, median error: start {start:.3f} s, end {end:.3f} s")


if __name__ == "__main__":
    main()
