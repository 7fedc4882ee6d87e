"""Training examples: utterances packed into windows in the mel power domain, with targets for every loss.

Packing and augmentation work on cached mel spectrograms: power adds up there, so that mixing costs no synthesis.
"""

import json
import pickle
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer

from podcast_assets_tests.training.mini_whisper.languages import Language
from podcast_assets_tests.training.mini_whisper.synthesize import Utterance

MELS = 80
FRAMES_PER_SECOND = 100
ENCODER_FRAMES_PER_SECOND = 50
WINDOW = 3000
"""Frames in Whisper's window of 30 s."""
FLOOR = 1e-10
IGNORE = -100
"""Target that losses ignore."""
SILENCE = 0
"""Frame label for silence."""

TimedWords = list[tuple[str, float, float]]


def load_utterances(paths: Iterable[Path]) -> dict[str, list[Utterance]]:
    """Load all utterances of files by `synthesize`, by language."""
    spoken: dict[str, list[Utterance]] = defaultdict(list)
    for path in paths:
        for utterance in pickle.loads(path.read_bytes()):
            spoken[utterance["language"]].append(utterance)
    return dict(spoken)


class Tokens:
    """The ids of the special tokens and of the words of all languages, and these words' frame labels."""

    def __init__(self, tokenizer: Tokenizer, languages: Sequence[Language]) -> None:
        def special(name: str) -> int:
            return tokenizer.get_vocab()[f"<|{name}|>"]

        self.size = tokenizer.get_vocab_size()
        self.start = special("startoftranscript")
        self.end = special("endoftext")
        self.languages = {spoken.code: special(spoken.code) for spoken in languages}
        self.transcribe = special("transcribe")
        self.translate = special("translate")
        self.no_timestamps = special("notimestamps")
        self.previous = special("startofprev")
        self.no_speech = special("nospeech")
        self.first_timestamp = self.no_timestamps + 1
        vocabulary = sorted({word for spoken in languages for word in spoken.vocabulary})
        self.words = {word: tokenizer.encode(f" {word}").ids[0] for word in vocabulary}
        self.frame_labels = {word: SILENCE + 1 + i for i, word in enumerate(vocabulary)}
        self.dot = tokenizer.encode(f" {vocabulary[0]}.").ids[1]

    def timestamp(self, seconds: float) -> int:
        return self.first_timestamp + min(1500, max(0, round(seconds / 0.02)))


@dataclass
class Window:
    """Normalized log-mel features, shape (80, frames), and the utterances in them, with times in the window.

    The last utterance may be cut off by the window's end; its words then go on past it.
    """

    features: np.ndarray
    language: str
    utterances: list[TimedWords]
    frames: int


def pack(r: random.Random, utterances: Sequence[Utterance], max_frames: int, test: bool = False) -> Window:
    """Put random utterances of one language one after another, with pauses, into a window of at most `max_frames`."""
    seconds = r.uniform(1.0, max_frames / FRAMES_PER_SECOND)
    if r.random() < 0.25:
        seconds = min(seconds, 3)
    power = np.full((MELS, max_frames), FLOOR, np.float32)
    at = int(FRAMES_PER_SECOND * (r.uniform(0, 0.4) if r.random() < 0.9 else r.uniform(0.4, 1.0)))
    if not test and r.random() < 0.03:  # a window without speech
        at = int(seconds * FRAMES_PER_SECOND)
    placed: list[TimedWords] = []
    while at < seconds * FRAMES_PER_SECOND - 40:
        u = r.choice(utterances)
        n = u["frames"]
        if at + n > max_frames:
            if not placed and n < max_frames:
                at = max(0, min(at, max_frames - n))
            elif r.random() < 0.5 or max_frames - at < 30:
                break
        fits = min(n, max_frames - at)
        power[:, at : at + fits] += 10.0 ** (u["mel"][:, :fits].astype(np.float32) + r.uniform(-0.6, 0.6))
        offset = at / FRAMES_PER_SECOND
        placed.append([(w, s + offset, e + offset) for w, (s, e) in zip(u["words"], u["times"], strict=True)])
        at += fits
        if fits < n:
            break
        at += int(FRAMES_PER_SECOND * r.uniform(0.05, 0.8) * (3 if r.random() < 0.1 else 1))

    if placed and r.random() < 0.8:
        frames = min(max_frames, max(at, 60))
    else:
        frames = min(max_frames, at + int(FRAMES_PER_SECOND * r.uniform(0, 1)) + 60)
    power = power[:, :frames]
    if not test or r.random() < 0.5:
        power = _distort(r, power, silent=not placed)
    return Window(_normalize(r, power, test), utterances[0]["language"], placed, frames)


def _curve(r: random.Random, points: int, low: float, high: float) -> np.ndarray:
    """Return a smooth random gain over the mel bands, shape (80, 1), from decades `low` to `high`."""
    knots = [r.uniform(low, high) for _ in range(points)]
    return (10 ** np.interp(np.arange(MELS), np.linspace(0, MELS - 1, points), knots))[:, None].astype(np.float32)


def _distort(r: random.Random, power: np.ndarray, silent: bool) -> np.ndarray:
    """Add coloured noise and a spectral tilt, each at random."""
    if r.random() < 0.6:
        level = 1e-3 if silent else np.percentile(power.mean(0), 90)
        colour = _curve(r, 6, -1.5, 0)
        noise_power = level * 10 ** (-r.uniform(0.8, 4)) / colour.mean()
        shape = np.random.default_rng(r.randrange(1 << 30)).gamma(3, 1 / 3, power.shape)
        power = power + noise_power * colour * shape.astype(np.float32)
    if r.random() < 0.5:
        power = power * _curve(r, 5, -0.5, 0.5)
    return power


def _normalize(r: random.Random, power: np.ndarray, test: bool) -> np.ndarray:
    """Whisper's normalization: log10, at most 8 below the maximum, (x + 4) / 4.

    The maximum is sometimes raised, as if louder speech were elsewhere in the window; a band is sometimes blanked.
    """
    log = np.log10(np.maximum(power, FLOOR))
    ceiling = log.max() + (r.uniform(0, 0.7) if r.random() < 0.4 and not test else 0)
    log = (np.maximum(log, ceiling - 8) + 4) / 4
    if not test and r.random() < 0.3:
        band = r.randrange(70)
        log[band : band + r.randrange(3, 10)] = log.mean()
    return log.astype(np.float32)


@dataclass
class Target:
    """What the decoder should say: `ids`, counted by the loss from `ids[loss_from]` on.

    `guides` are (row, first, last): at decoder row `row` the cross attention should look at these encoder frames.
    """

    ids: list[int]
    loss_from: int
    guides: list[tuple[int, int, int]]


def target(window: Window, tokens: Tokens, timestamps: bool, prompt: Sequence[int] = ()) -> Target:
    """Return the token sequence of a window, with or without timestamps, after the tokens of `prompt`."""
    end = window.frames / FRAMES_PER_SECOND
    ids = list(prompt)
    ids.append(tokens.start)
    loss_from = len(ids)
    if not window.utterances:
        return Target([*ids, tokens.no_speech, tokens.end], loss_from, [])

    guides = []
    ids += [tokens.languages[window.language], tokens.transcribe]
    if not timestamps:
        ids.append(tokens.no_timestamps)
    heard_until = end + 0.04
    for words in window.utterances:
        cut_off = words[-1][2] > heard_until
        if timestamps:
            ids.append(tokens.timestamp(words[0][1]))
            if cut_off:
                break
        for word, start, stop in (w for w in words if w[2] <= heard_until):
            first = int(start * ENCODER_FRAMES_PER_SECOND)
            guides.append((len(ids) - 1, first, max(first + 2, int(stop * ENCODER_FRAMES_PER_SECOND))))
            ids.append(tokens.words[word])
        if cut_off:
            break
        last = int(words[-1][2] * ENCODER_FRAMES_PER_SECOND)
        guides.append((len(ids) - 1, last, last + 12))
        ids.append(tokens.dot)
        if timestamps:
            ids.append(tokens.timestamp(words[-1][2]))

    speech_end = window.utterances[-1][-1][2]
    if speech_end <= heard_until and speech_end + 0.1 < 29.5:  # the end token looks at the silence after the last word
        last = int(speech_end * ENCODER_FRAMES_PER_SECOND)
        guides.append((len(ids) - 1, last + 2, last + 25))
    return Target([*ids, tokens.end], loss_from, guides)


def made_up_prompt(r: random.Random, languages: Sequence[Language], tokens: Tokens) -> list[int]:
    """Return random text of a previous window, in any language, as the decoder gets it when conditioned on previous text."""
    ids: list[int] = []
    language = r.choice(languages)
    for _ in range(r.randint(1, 6)):
        words, at = language.sentence(r)[:8], r.randint(0, 1200)
        start = [tokens.first_timestamp + at] if r.random() < 0.7 else []
        stop = [tokens.first_timestamp + at + 100] if r.random() < 0.7 else []
        ids += [*start, *(tokens.words[w] for w in words), tokens.dot, *stop]
    return [tokens.previous, *ids[-200:]]


@dataclass
class Batch:
    """Tensors of b windows, padded to t frames and l tokens."""

    features: torch.Tensor
    """(b, 80, t)"""
    ids: torch.Tensor
    """(b, l) decoder input"""
    next_ids: torch.Tensor
    """(b, l) what follows, or IGNORE"""
    guides: torch.Tensor
    """(n, 4): batch item, decoder row, first and last encoder frame"""
    frame_labels: torch.Tensor
    """(b, t / 2) word at each encoder frame, SILENCE or IGNORE"""


def collate(examples: Sequence[tuple[Window, Target]], frames: int, tokens: Tokens) -> Batch:
    """Pad windows with 0.0 in the normalized domain, as faster-whisper does, and stack them."""
    longest = max(len(t.ids) for _, t in examples)
    encoder_frames = frames // 2
    features = torch.zeros(len(examples), MELS, frames)
    ids = torch.full((len(examples), longest), tokens.end)
    next_ids = torch.full((len(examples), longest), IGNORE)
    labels = torch.full((len(examples), encoder_frames), SILENCE)
    guides = []
    for k, (window, aim) in enumerate(examples):
        features[k, :, : window.frames] = torch.from_numpy(window.features)
        ids[k, : len(aim.ids)] = torch.tensor(aim.ids)
        next_ids[k, aim.loss_from - 1 : len(aim.ids) - 1] = torch.tensor(aim.ids[aim.loss_from :])
        guides += [(k, *guide) for guide in aim.guides if guide[2] <= encoder_frames]
        for word, start, end in (w for words in window.utterances for w in words):
            first = int(start * ENCODER_FRAMES_PER_SECOND)
            labels[k, first : max(first + 1, int(end * ENCODER_FRAMES_PER_SECOND))] = tokens.frame_labels[word]
        if window.frames // 2 < encoder_frames - 20:
            labels[k, window.frames // 2 :] = IGNORE
    return Batch(features, ids, next_ids, torch.tensor(guides).reshape(-1, 4), labels)


class Phase(NamedTuple):
    """Phase of the training."""

    until: float
    """share of the training"""
    longest: int
    """frames of speech in a window"""
    padded: int
    """frames that all windows of a batch are padded to; 0: what its longest needs"""


@dataclass(frozen=True)
class Schedule:
    """Training lasts `seconds` from `start` (time.time()); its phases are chosen by the elapsed share."""

    start: float
    seconds: float
    phases: tuple[Phase, ...]

    @classmethod
    def from_json(cls, minutes: float, phases: str) -> "Schedule":
        return cls(time.time(), minutes * 60, tuple(Phase(*phase) for phase in json.loads(phases)))

    @property
    def progress(self) -> float:
        return (time.time() - self.start) / self.seconds

    @property
    def phase(self) -> Phase:
        return next((phase for phase in self.phases if self.progress < phase.until), self.phases[-1])


class Batches(torch.utils.data.IterableDataset):
    """Endless random batches of about `budget` frames; each window is in one language."""

    def __init__(
        self,
        languages: Sequence[Language],
        utterances: Mapping[str, Sequence[Utterance]],
        tokens: Tokens,
        schedule: Schedule,
        budget: int,
        seed: int,
    ) -> None:
        self.languages, self.utterances, self.tokens = languages, utterances, tokens
        self.schedule, self.budget, self.seed = schedule, budget, seed

    def __iter__(self) -> Iterator[Batch]:
        r = random.Random(self.seed)
        while True:
            _, longest, padded = self.schedule.phase
            # batches of short windows go on, so that they are not forgotten
            short = r.random() < (0.6 if padded else 0.35) and longest > 700
            limit = (1000 if padded else 700) if short else longest
            examples = []
            for _ in range(max(4, self.budget // max(longest, padded))):
                window = pack(r, self.utterances[r.choice(self.languages).code], limit)
                prompt = made_up_prompt(r, self.languages, self.tokens) if r.random() < 0.25 else []
                examples.append((window, target(window, self.tokens, r.random() < 0.45, prompt)))
            frames = padded or max(window.frames for window, _ in examples) + r.randrange(0, 120)
            yield collate(examples, min(WINDOW, frames + frames % 2), self.tokens)


def validation_batches(utterances: Mapping[str, Sequence[Utterance]], tokens: Tokens) -> list[Batch]:
    """Two fixed batches of 24 windows: of up to 6 s, and of up to 15 s padded to Whisper's window."""
    r = random.Random(7)
    made = []
    for limit, frames in ((600, 700), (1500, WINDOW)):
        windows = []
        for _ in range(24):
            window = pack(r, r.choice(list(utterances.values())), limit, test=True)
            windows.append((window, target(window, tokens, timestamps=r.random() < 0.5)))
        made.append(collate(windows, frames, tokens))
    return made
