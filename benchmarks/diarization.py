"""Candidates for the embedded diarizer side by side: diarization error rate, number of speakers found, speed.

    python benchmarks/diarization.py [--real FOLDER] [--files]

Always measured on the sample batch; with --real also on a folder with recordings and .rttm files that name them. The groups "alone"
are each voice of a group by itself, cut out and joined: a candidate that splits one voice is found there. Nobody is told the number
of speakers. The engine's settings were chosen with these recordings, so its figures here are those of a development set.

DER is that of pyannote.metrics with a collar of 0.25 s, overlap scored. "x" is seconds of audio per CPU second of everything, voice
activity detection included.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_whisper.audio import decode_audio
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import SpectralClustering
from sklearn.metrics import silhouette_score
from sklearn.metrics.pairwise import cosine_similarity

from podcast_assets.demo import BATCH, REFERENCES
from podcast_assets.speech.diarizers.embedded.clustering import Labels, cluster_speakers
from podcast_assets.speech.diarizers.embedded.engine import EmbeddedDiarizer, join_turns, split_windows, window_middles
from podcast_assets.speech.diarizers.embedded.resegmentation import resegment
from podcast_assets.speech.diarizers.embedded.voiceprints import Floats, extract_frames, voiceprints, window_statistics
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.speech.types import SAMPLE_RATE, Samples, Turn
from podcast_assets.speech.vad import detect_speech

SETTINGS = EmbeddedDiarizer()
Cluster = Callable[[Floats], Labels]


@dataclass(frozen=True)
class Recording:
    name: str
    group: str
    audio: Samples
    turns: list[Turn]


@dataclass(frozen=True)
class Candidate:
    name: str
    prints: Callable[[Floats], Floats]
    cluster: Cluster
    window: float = 1.5
    resegmentation: bool = False


def plain(statistics: Floats) -> Floats:
    """The statistics without LDA, each scaled to unit variance in the episode."""
    return (statistics - statistics.mean(axis=0)) / (statistics.std(axis=0) + 1e-3)


def agglomerative(method: str, threshold: float, metric: str = "euclidean") -> Cluster:
    return lambda prints: fcluster(linkage(prints, method, metric), threshold, "distance") - 1


def ward_silhouette(prints: Floats) -> Labels:
    """Ward's tree cut where the silhouette is best; one speaker if it is under 0.25 everywhere."""
    tree = linkage(prints, "ward")
    cuts = [fcluster(tree, k, "maxclust") - 1 for k in range(2, min(SETTINGS.max_speakers, len(prints) - 1) + 1)]
    scores = [silhouette_score(prints, cut) if len(np.unique(cut)) > 1 else -1.0 for cut in cuts]
    return cuts[int(np.argmax(scores))] if scores and max(scores) >= 0.25 else np.zeros(len(prints), np.intp)


def spectral_eigengap(prints: Floats) -> Labels:
    """Spectral clustering of the cosine affinity; as many speakers as come before the largest gap between eigenvalues."""
    affinity = (cosine_similarity(prints) + 1) / 2
    affinity = np.where(affinity >= np.quantile(affinity, 0.8, axis=1, keepdims=True), affinity, 0.01)
    affinity = (affinity + affinity.T) / 2
    scale = 1 / np.sqrt(affinity.sum(axis=1))
    values = np.linalg.eigvalsh(affinity * scale[:, None] * scale)[::-1][: SETTINGS.max_speakers + 1]
    count = int(np.argmax(values[:-1] - values[1:])) + 1
    if count == 1:
        return np.zeros(len(prints), np.intp)
    return SpectralClustering(count, affinity="precomputed", random_state=0).fit_predict(affinity)


CANDIDATES = [
    Candidate("mfcc, average cosine 0.8", plain, agglomerative("average", 0.8, "cosine")),
    Candidate("lda, average cosine 0.6", voiceprints, agglomerative("average", 0.6, "cosine")),
    Candidate("lda, average 8", voiceprints, agglomerative("average", 8)),
    Candidate("lda, complete 12", voiceprints, agglomerative("complete", 12)),
    Candidate("lda, centroid 6", voiceprints, agglomerative("centroid", 6)),
    Candidate("lda, ward 30", voiceprints, agglomerative("ward", 30)),
    Candidate("lda, ward silhouette", voiceprints, ward_silhouette),
    Candidate("lda, spectral eigengap", voiceprints, spectral_eigengap),
    Candidate("mfcc, ward separation", plain, cluster_speakers),
    Candidate("lda, ward separation, 1 s", voiceprints, cluster_speakers, window=1.0),
    Candidate("lda, ward separation, 2 s", voiceprints, cluster_speakers, window=2.0),
    Candidate("lda, ward separation", voiceprints, cluster_speakers),
    Candidate("  + resegmentation (the engine)", voiceprints, cluster_speakers, resegmentation=True),
]


def diarize(candidate: Candidate, audio: Samples) -> list[Turn]:
    stretches = detect_speech(audio, threshold=SETTINGS.vad_threshold)
    features = extract_frames(audio)
    windows = [w for stretch in stretches for w in split_windows(*stretch, candidate.window)]
    if not windows:
        return []
    prints = candidate.prints(window_statistics(features, windows))
    labels = candidate.cluster(prints) if len(prints) > 1 else np.zeros(len(prints), np.intp)
    pieces = [(*middle, int(label)) for middle, label in zip(window_middles(windows), labels, strict=True)]
    if candidate.resegmentation:
        pieces = resegment(features, stretches, pieces, switch_cost=SETTINGS.switch_cost)
    return join_turns(pieces, SETTINGS.max_gap)


def recordings(folder: Path, references: Path, group: str) -> Iterator[Recording]:
    for rttm in sorted(references.glob("*.rttm")):
        for name, turns in parse_rttm(rttm.read_text()).items():
            for file in sorted(f for f in folder.glob(f"{name}.*") if f.suffix in _AUDIO):
                audio = decode_audio(str(file), sampling_rate=SAMPLE_RATE)
                yield Recording(name, group, np.asarray(audio, np.float32), turns)


def alone(recording: Recording, at_least: float = 6.0) -> Iterator[Recording]:
    """Each voice by itself, where nobody else speaks, with pauses of 0.3 s; voices with less speech are left out."""
    everything = annotation(recording.turns)
    for speaker in everything.labels():
        others = everything.subset([speaker], invert=True).get_timeline().support()
        mine = [s for s in everything.label_timeline(speaker).support().extrude(others) if s.duration > 0.8]
        if sum(s.duration for s in mine) < at_least:
            continue
        audio, turns, now = [], [], 0.0
        for segment in mine:
            piece = recording.audio[round(segment.start * SAMPLE_RATE) : round(segment.end * SAMPLE_RATE)]
            audio += [piece, np.zeros(round(0.3 * SAMPLE_RATE), np.float32)]
            turns.append(Turn(now, now + len(piece) / SAMPLE_RATE, speaker))
            now = turns[-1].end + 0.3
        yield Recording(f"{recording.name} {speaker}", f"{recording.group}, alone", np.concatenate(audio), turns)


_AUDIO = {".wav", ".flac", ".mp3", ".m4a", ".mp4", ".opus", ".ogg"}


def annotation(turns: list[Turn]) -> Annotation:
    result = Annotation()
    for i, turn in enumerate(turns):
        result[Segment(turn.start, turn.end), i] = turn.speaker
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder with recordings and .rttm files")
    parser.add_argument("--files", action="store_true", help="a line per recording for the engine too")
    args = parser.parse_args()
    data = list(recordings(BATCH, REFERENCES, "sample batch"))
    if args.real:
        data += recordings(args.real, args.real, str(args.real.name))
    data += [voice for recording in list(data) for voice in alone(recording)]
    extract_frames(data[0].audio)  # imports and model loading are not what is timed
    detect_speech(data[0].audio)
    print(
        "| candidate | set | DER | missed | false alarm | confusion | speakers right | x |\n|---|---|---|---|---|---|---|---|"
    )
    for candidate in CANDIDATES:
        for group in dict.fromkeys(r.group for r in data):
            measure(candidate, [r for r in data if r.group == group], args.files and candidate is CANDIDATES[-1])


def measure(candidate: Candidate, data: list[Recording], each: bool) -> None:
    metric, right, seconds = DiarizationErrorRate(collar=0.25, skip_overlap=False), 0, 0.0
    for recording in data:
        begin = time.process_time()
        turns = diarize(candidate, recording.audio)
        seconds += time.process_time() - begin
        reference, found = annotation(recording.turns), annotation(turns)
        scored = Timeline([Segment(0, len(recording.audio) / SAMPLE_RATE)])
        score = metric(reference, found, uem=scored, detailed=True)
        right += len(reference.labels()) == len(found.labels())
        if each:
            counted = f"{len(found.labels())} of {len(reference.labels())}"
            print(row(f"    {recording.name}", recording.group, score, counted, ""))
    total = {"diarization error rate": abs(metric), **metric.accumulated_}
    speed = f"{sum(len(r.audio) for r in data) / SAMPLE_RATE / seconds:.0f}"
    print(row(candidate.name, data[0].group, total, f"{right} of {len(data)}", speed), flush=True)


def row(name: str, group: str, score: dict[str, float], counted: str, speed: str) -> str:
    shares = " | ".join(f"{score[k] / score['total']:.3f}" for k in ("missed detection", "false alarm", "confusion"))
    return f"| {name} | {group} | {score['diarization error rate']:.3f} | {shares} | {counted} | {speed} |"


if __name__ == "__main__":
    main()
