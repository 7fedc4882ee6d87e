"""Train the micro Whisper for a given time and save it in Hugging Face's format.

    python -m podcast_assets_tests.training.mini_whisper.train --model demo --minutes 30 \\
        --train train_e.pkl train_f.pkl --validate test.pkl --out hf

Needs torch and transformers (CPU builds do). The model is saved every few minutes. The length of the run is
wall time, so two runs differ.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor, WhisperForConditionalGeneration

from podcast_assets_tests.training.mini_whisper.data import (
    Batch,
    Batches,
    Schedule,
    Tokens,
    load_utterances,
    validation_batches,
)
from podcast_assets_tests.training.mini_whisper.languages import MODELS
from podcast_assets_tests.training.mini_whisper.losses import losses
from podcast_assets_tests.training.mini_whisper.make_tokenizer import vocabulary_tokenizer
from podcast_assets_tests.training.mini_whisper.model import generation_config, new_model

WARM_UP = 40
SAVE_EVERY = 300.0
"""seconds"""
PHASES = "[[0.2, 400, 0], [0.5, 700, 0], [0.82, 1500, 0], [1, 3000, 3000]]"
WORD_HEAD = "word_head.pt"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, required=True, help="whose languages to learn")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="files written by synthesize")
    parser.add_argument("--validate", type=Path, required=True, help="file written by synthesize --held-out")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--width", type=int, default=96, help="d_model")
    parser.add_argument("--init", type=Path, help="folder of an earlier run to go on from")
    parser.add_argument("--phases", default=PHASES, help="JSON: [until, longest, padded] of each `data.Phase`")
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--budget", type=int, default=14_000, help="frames in a batch")
    parser.add_argument("--locality", type=float, default=1.2, help="strength of the initial local attention")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def train(
    model: WhisperForConditionalGeneration,
    word_head: nn.Linear,
    tokens: Tokens,
    batches: Batches,
    validation: list[Batch],
    learning_rate: float,
    bfloat16: bool,
    save: Callable[[], None],
) -> None:
    """Train with AdamW, warm-up and linear decay over the schedule of `batches`; call `save` every SAVE_EVERY and at the end."""
    schedule = batches.schedule
    stream = iter(torch.utils.data.DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=4))
    parameters = [p for p in (*model.parameters(), *word_head.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    step, saved = 0, time.time()
    while (progress := schedule.progress) < 1:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1, (step + 1) / WARM_UP) * max(0.02, 1 - progress)
        batch = next(stream)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            now = losses(model, word_head, batch, tokens)
        optimizer.zero_grad()
        now.total(progress).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        if step % 25 == 0:
            print(f"step {step} ({progress:.1%}), windows of {batch.features.shape[2]} frames: {now}", flush=True)
        if step % 200 == 0:
            model.eval()
            with torch.no_grad():
                for held_out in validation:
                    print(f"  held out: {losses(model, word_head, held_out, tokens)}", flush=True)
            model.train()
        if time.time() - saved > SAVE_EVERY:
            save()
            saved = time.time()
    save()


def save(model: WhisperForConditionalGeneration, word_head: nn.Linear, tokens: Tokens, out: Path) -> None:
    """Write the model with the files that `ct2-transformers-converter` needs."""
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(out / "tokenizer.json"),
        unk_token="<|endoftext|>",
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
    )
    language_ids = {f"<|{code}|>": tokenizer.convert_tokens_to_ids(f"<|{code}|>") for code in _LANGUAGE_CODES}
    model.generation_config = generation_config(tokens, language_ids)
    model.save_pretrained(out)
    torch.save(word_head.state_dict(), out / WORD_HEAD)
    tokenizer.save_pretrained(out)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(out)


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    languages = MODELS[args.model]
    tokenizer = vocabulary_tokenizer(languages)
    tokenizer.save(str(args.out / "tokenizer.json"), pretty=False)
    tokens = Tokens(tokenizer, languages)

    model = new_model(tokens, args.width, args.locality)
    word_head = nn.Linear(args.width, len(tokens.frame_labels) + 1)
    if args.init:
        model.load_state_dict(WhisperForConditionalGeneration.from_pretrained(args.init).state_dict())
        if (args.init / WORD_HEAD).exists():
            word_head.load_state_dict(torch.load(args.init / WORD_HEAD))
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters")

    utterances = load_utterances(args.train)
    validation = validation_batches(load_utterances([args.validate]), tokens)
    schedule = Schedule.from_json(args.minutes, args.phases)
    batches = Batches(languages, utterances, tokens, schedule, args.budget, args.seed)
    started = time.time()
    checkpoint = partial(save, model, word_head, tokens, args.out)
    train(model, word_head, tokens, batches, validation, args.learning_rate, args.bfloat16, checkpoint)
    print(f"{args.out}: trained for {(time.time() - started) / 60:.1f} min")


if __name__ == "__main__":
    main()
