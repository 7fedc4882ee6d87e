"""Print the words of a model's languages and a few sentences."""

import argparse
import random

from podcast_assets_tests.training.mini_whisper.languages import MODELS

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model", choices=MODELS)
r = random.Random(1)
for language in MODELS[parser.parse_args().model]:
    print(f"{language.code}, {len(language.vocabulary)} words:", *language.vocabulary)
    for _ in range(10):
        print("   ", *language.sentence(r))
