"""Greedy decoding of token-and-duration transducers, with networks written by hand."""

import numpy as np

from podcast_assets.speech.transcribers.parakeet.tdt import Emission, Floats, Ints, States, greedy_decode

BLANK, TOKENS, DURATIONS = 2, 3, 5
NOTHING: States = ()


def logits(*steps: tuple[int, int]) -> Floats:
    """Rows in which one token and one duration are likelier than the others."""
    rows = np.zeros((len(steps), TOKENS + DURATIONS), np.float32)
    for row, (token, duration) in zip(rows, steps, strict=True):
        row[token] = row[TOKENS + duration] = 3.0
    return rows


def decode(lengths: list[int], script: dict[tuple[int, int], tuple[int, int]], most: int = 10) -> list[list[Emission]]:
    """Decode windows whose network says, by the window and the frame, which token and duration come next."""
    frames = np.array([[[w, t] for t in range(max(lengths))] for w in range(len(lengths))], np.float32)

    def step(at: Floats, tokens: Ints, states: States) -> tuple[Floats, States]:
        return logits(*(script[int(w), int(t)] for w, t in at)), states

    return greedy_decode(step, frames, np.array(lengths), NOTHING, tokens=TOKENS, blank=BLANK, most_per_frame=most)


def placed(window: list[Emission]) -> list[tuple[int, int, int]]:
    return [(e.token, e.frame, e.duration) for e in window]


def test_a_duration_steps_over_frames() -> None:
    (heard,) = decode([6], {(0, 0): (0, 2), (0, 2): (BLANK, 3), (0, 5): (1, 4)})
    assert placed(heard) == [(0, 0, 2), (1, 5, 4)]


def test_a_blank_that_stays_moves_on_by_a_frame() -> None:
    (heard,) = decode([3], {(0, 0): (BLANK, 0), (0, 1): (BLANK, 0), (0, 2): (0, 1)})
    assert placed(heard) == [(0, 2, 1)]


def test_tokens_at_one_frame_are_limited_for_each_frame_again() -> None:
    (heard,) = decode([2], {(0, 0): (0, 0), (0, 1): (1, 0)}, most=3)
    assert placed(heard) == [(0, 0, 0)] * 3 + [(1, 1, 0)] * 3


def test_windows_of_a_batch_end_on_their_own() -> None:
    script = {(0, 0): (0, 1), (1, 0): (1, 1), (1, 1): (0, 2), (2, 0): (BLANK, 1), (1, 3): (1, 4)}
    assert [placed(w) for w in decode([1, 4, 1], script)] == [[(0, 0, 1)], [(1, 0, 1), (0, 1, 2), (1, 3, 4)], []]


def test_a_window_without_frames_has_no_tokens() -> None:
    assert [placed(w) for w in decode([0, 1], {(1, 0): (0, 1)})] == [[], [(0, 0, 1)]]


def test_log_probability_is_over_the_tokens_alone() -> None:
    (heard,) = decode([1], {(0, 0): (0, 1)})
    assert np.isclose(heard[0].logprob, 3 - np.log(np.exp(3) + 2))


def test_states_and_last_token_change_with_tokens_only_and_only_where_they_were_said() -> None:
    """The network counts its calls in the state: after a blank the count is what it was."""
    seen: list[tuple[list[float], list[int]]] = []
    script = iter([[(0, 1), (BLANK, 1)], [(BLANK, 1), (1, 1)], [(1, 1), (0, 1)]])

    def step(at: Floats, tokens: Ints, states: States) -> tuple[Floats, States]:
        seen.append((states[0][0, :, 0].tolist(), tokens.tolist()))
        return logits(*next(script)), [states[0] + 1]

    before = np.zeros((1, 2, 1), np.float32)
    frames = np.zeros((2, 3, 1), np.float32)
    greedy_decode(step, frames, np.array([3, 3]), [before], tokens=TOKENS, blank=BLANK, most_per_frame=10)
    assert seen == [([0, 0], [BLANK, BLANK]), ([1, 0], [0, BLANK]), ([1, 1], [0, 1])]
    assert not before.any()
