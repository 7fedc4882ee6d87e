#!/bin/sh
# convert.sh HF_FOLDER OUT_FOLDER: a folder written by train.py, as CTranslate2 int8 that faster-whisper loads.
set -eu
ct2-transformers-converter --model "$1" --output_dir "$2" --force --quantization int8 \
  --copy_files tokenizer.json preprocessor_config.json
