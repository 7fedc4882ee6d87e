"""What licences are called, and which of them may be released."""

import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.rights.licences import LicenceRules, parse_licence

NAMES = {
    # as podcast:license writes them, with links as feeds have them, and in words
    "cc-by-4.0": "CC-BY-4.0",
    "CC0-1.0": "CC0-1.0",
    "CC BY 4.0": "CC-BY-4.0",
    "CC BY-NC-SA v4.0": "CC-BY-NC-SA-4.0",
    "cc by-nc-sa 3.0 DE": "CC-BY-NC-SA-3.0-DE",
    "CC-BY-3.0-FR": "CC-BY-3.0-FR",
    "CC BY-SA": "CC-BY-SA",
    "https://creativecommons.org/licenses/by/4.0/": "CC-BY-4.0",
    "http://creativecommons.org/licenses/by-sa/3.0/de/deed.de": "CC-BY-SA-3.0-DE",
    "https://www.creativecommons.org/licenses/by-nc-nd/4.0/legalcode.en#s2": "CC-BY-NC-ND-4.0",
    "https://creativecommons.org/publicdomain/zero/1.0/": "CC0-1.0",
    "https://creativecommons.org/publicdomain/mark/1.0/deed.en": "CC-PDM-1.0",
    "https://spdx.org/licenses/CC-BY-4.0.html": "CC-BY-4.0",
    "Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International": "CC-BY-NC-SA-4.0",
    "Creative Commons Attribution-NoDerivs 3.0 Unported": "CC-BY-ND-3.0",
    "Creative Commons Attribution 4.0 International License.": "CC-BY-4.0",
    "CC Zero 1.0 Universal": "CC0-1.0",
    "Public Domain": "LicenseRef-Public-Domain",
    "Public Domain Mark 1.0": "CC-PDM-1.0",
    "pddl-1.0": "PDDL-1.0",
    "mit": "MIT",
}
NOT_NAMES = [
    None,
    "",
    "all rights reserved",
    "© 2024 A Show",
    "Creative Commons",  # which one?
    "not CC BY 4.0",
    "CC BY 4.0, except the music",
    "CC BY 4.0 or ask us",
    "CC BY 40",
    "CC BY-SA-ND 4.0",
    "by me",
    "by",
    "Standard YouTube License",
    "https://example.org/licenses/by/4.0/",
    "https://creativecommons.org/licenses/by/4.0/../../evil",
    "https://creativecommons.org.example/licenses/by/4.0/",
]
DEFAULT = Settings.model_fields["licenses"].default


@pytest.mark.parametrize(("text", "identity"), NAMES.items())
def test_licences_are_known_by_id_link_and_words(text: str, identity: str) -> None:
    found = parse_licence(text)
    assert found is not None
    assert found.id == identity


@pytest.mark.parametrize("text", NOT_NAMES)
def test_what_is_left_over_or_unclear_makes_no_licence(text: str | None) -> None:
    assert parse_licence(text) is None


@pytest.mark.parametrize("text", [t for t, i in NAMES.items() if i not in ("CC-BY-SA", "LicenseRef-Public-Domain")])
def test_the_link_of_a_licence_is_that_of_the_same_licence(text: str) -> None:
    found = parse_licence(text)
    assert found is not None
    assert parse_licence(found.url) == found


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("cc-by-4.0", True),
        ("cc-by-sa-3.0-de", True),
        ("CC BY", True),
        ("CC0", True),
        ("Public Domain", True),
        ("pddl-1.0", True),
        ("cc-by-nc-4.0", False),
        ("cc-by-nd-4.0", False),
        ("cc-by-nc-sa-4.0", False),
        ("cc-by-4.0 OR MIT", False),
        ("all rights reserved", False),
    ],
)
def test_by_default_what_anybody_may_build_on_is_released(text: str, allowed: bool) -> None:
    assert LicenceRules.of(DEFAULT).allow(parse_licence(text), text) is allowed


def test_the_setting_names_families_ids_agreements_or_everything() -> None:
    def allows(setting: str, text: str) -> bool:
        return LicenceRules.of(setting).allow(parse_licence(text), text)

    assert allows("cc-by-nc", "CC BY-NC 3.0 US")
    assert not allows("cc-by-nc", "cc-by-nc-sa-4.0")
    assert allows("CC-BY-4.0", "https://creativecommons.org/licenses/by/4.0/")
    assert not allows("CC-BY-4.0", "cc-by-3.0")
    assert allows("cc0-1.0, by agreement", "By  Agreement")
    assert not allows("cc-by", "by agreement")
    assert allows("*", "whatever they say")
