"""Embedder `minilm`. `vocab.txt` is that of bert-base-uncased (Apache License 2.0), which the model's package lacks."""
