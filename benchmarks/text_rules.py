"""Text rules: recall on a thousand injected hallucinations, and time for a million segments.

    python -m benchmarks.text_rules [--segments 1000000] [--rounds 3]

The peer counts repeated 3-grams, distinct words and characters per second segment by segment in Python, as the first version of
this project did, and so measures a fourth of what the rules look at. It works on a tenth of the segments.
"""

import argparse
import itertools
import resource
import unicodedata

import polars as pl

from benchmarks.measured import compare
from podcast_assets.quality.text.measures import text_measures
from podcast_assets_tests.quality.injected import make_segments, results


def segment_by_segment(texts: list[str], seconds: list[float]) -> list[tuple[float, float, float]]:
    def bare(word: str) -> str:
        return "".join(c for c in word if unicodedata.category(c)[0] not in "PS")

    found = []
    for text, duration in zip(texts, seconds, strict=True):
        words = [word for part in text.casefold().split() if (word := bare(part))] or [""]
        ngrams = list(zip(words, words[1:], words[2:], strict=False)) or [("", "", "")]
        found.append(
            (sum(map(len, text.split())) / duration, len(set(words)) / len(words), 1 - len(set(ngrams)) / len(ngrams))
        )
    return found


def table(count: int) -> pl.DataFrame:
    """Segments of the set of hallucinations, over and over, each with a number so that no two are the same."""
    some = make_segments(10_000, seed=1)
    rows = list(itertools.islice(itertools.cycle(some), count))
    return pl.DataFrame(
        {
            "text": [s.text for s in rows],
            "duration": [s.seconds for s in rows],
            "language": [s.language for s in rows],
            "text_language": [s.language for s in rows],
            "compression_ratio": 1.5,
            "avg_logprob": -0.3,
            "no_speech_prob": 0.1,
            "episode_id": [f"e{n // 200}" for n in range(count)],
            "segment_index": [n % 200 for n in range(count)],
        }
    ).with_columns(text=pl.col("text") + " " + pl.col("episode_id"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| rule | put in | found | precision | recall | found in 500 without anything |\n|---|---|---|---|---|---|")
    for f in results(make_segments(1000, seed=26)):
        print(f"| {f.rule} | {f.put_in} | {f.found} | {f.precision:.3f} | {f.recall:.3f} | {f.in_clean} |")
    rows = table(options.segments)
    print(f"\n{rows.height:,} segments of {rows['text'].str.len_chars().mean():.0f} characters on average")
    tenth = rows.head(options.segments // 10)
    texts, seconds = tenth["text"].to_list(), tenth["duration"].to_list()
    compare(
        {
            "segment by segment, three measures": lambda: segment_by_segment(texts, seconds),
            "all at once, all measures and rules": lambda: text_measures(tenth),
        },
        options.rounds,
        tenth.height,
        "segments",
    )
    compare({f"{rows.height:,} at once": lambda: text_measures(rows)}, 1, rows.height, "segments")
    print(f"highest memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
