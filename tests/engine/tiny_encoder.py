"""Tiny random encoders on disk, in the format of real ones."""

from __future__ import annotations

import os
import string
from pathlib import Path
from typing import Literal

import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")

Family = Literal["bert", "roberta", "mpnet", "distilbert", "albert"]
FAMILIES: tuple[Family, ...] = ("bert", "roberta", "mpnet", "distilbert")


def write_tiny_encoder(
    folder: Path, width: int = 16, layers: int = 2, family: Family = "bert", positions: int = 512
) -> None:
    """An encoder that spells words out in letters and reads ``positions`` tokens, with the same random weights each time."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoModel, PreTrainedTokenizerFast

    letters = string.ascii_lowercase + string.digits
    first, pad, last, unknown = special = ("[CLS]", "[PAD]", "[SEP]", "[UNK]")
    if family == "bert":
        special = (pad, unknown, first, last)
    names = [*special, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {name: place for place, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, vocabulary[name]) for name in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=ends)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, unk_token=unknown, pad_token=pad, cls_token=first, sep_token=last
    )
    fast.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = _config(family, len(names), vocabulary[pad], width, layers, positions)
        AutoModel.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]


def _config(family: Family, words: int, padding: int, width: int, layers: int, positions: int) -> object:
    from transformers import AlbertConfig, BertConfig, DistilBertConfig, MPNetConfig, RobertaConfig

    if family == "distilbert":
        return DistilBertConfig(
            vocab_size=words,
            dim=width,
            n_layers=layers,
            n_heads=2,
            hidden_dim=2 * width,
            max_position_embeddings=positions,
            pad_token_id=padding,
        )
    of_family = {"bert": BertConfig, "roberta": RobertaConfig, "mpnet": MPNetConfig, "albert": AlbertConfig}[family]
    # the positions of RoBERTa and MPNet begin after the padding token's index
    first_position = padding + 1 if family in ("roberta", "mpnet") else 0
    return of_family(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=first_position + positions,
        pad_token_id=padding,
    )
