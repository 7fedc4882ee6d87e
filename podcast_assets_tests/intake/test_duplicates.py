"""The same bytes in another batch are told, and what is told is still so."""

from pathlib import Path

import pytest

from podcast_assets.intake.duplicates.exact import holders_key, register_content, unregister_content
from podcast_assets.store.store import Store

A, B = "a" * 64, "b" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path)


def test_the_first_by_name_of_the_others_is_told(store: Store) -> None:
    assert register_content(store, "two", {A: "x", B: "y"}) == {}
    assert register_content(store, "three", {A: "z"}) == {A: "two/x"}
    assert register_content(store, "one", {A: "w"}) == {A: "three/z"}
    assert register_content(store, "two", {A: "x", B: "y"}) == {A: "one/w"}


def test_a_batch_is_no_duplicate_of_itself(store: Store) -> None:
    register_content(store, "one", {A: "x"})
    assert register_content(store, "one", {A: "renamed"}) == {}
    assert register_content(store, "one-more", {A: "x"}) == {A: "one/renamed"}


def test_what_a_batch_no_longer_has_is_taken_back(store: Store) -> None:
    register_content(store, "one", {A: "x", B: "y"})
    unregister_content(store, "one", [(A, "x")])
    assert register_content(store, "two", {A: "x", B: "y"}) == {B: "one/y"}


def test_of_two_at_once_at_least_one_sees_the_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write, told = Store.write, []

    def and_the_other_too(self: Store, key: str, data: bytes) -> None:
        write(self, key, data)
        if key.startswith(holders_key(A)) and not told:
            told.append(None)
            told[0] = register_content(store, "other", {A: "theirs"})

    monkeypatch.setattr(Store, "write", and_the_other_too)
    ours = register_content(store, "one", {A: "ours"})
    assert ours or told[0]
