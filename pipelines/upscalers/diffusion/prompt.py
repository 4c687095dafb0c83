"""From a prompt to what the network attends to."""

import threading
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from pipelines.catalog.specification import Options
from pipelines.upscalers.diffusion.parts import PromptedParts

OPENCLIP_PADDING = 0  # the token behind a prompt's end: OpenCLIP has no other
_tokenizing = threading.Lock()  # a tokenizer keeps how it cuts and pads from one call to the next, for all threads


class EmbeddedPrompt(NamedTuple):
    """Each with a first axis of 1, or of 2 with guidance: what to keep away from, what to follow.

    `embedding` is (n, tokens, width), `before_norm` the same before the encoder's last norm, and `pooled` (n, width)
    what stands for all of them. `notes` tells of tokens that were not read.
    """

    embedding: Tensor
    before_norm: Tensor
    pooled: Tensor
    notes: tuple[str, ...]


class Tokens(NamedTuple):
    """What a tokenizer makes of texts, (n, tokens); `mask` is 0 behind the end. `notes` tells what was not read."""

    numbers: Tensor
    mask: Tensor
    notes: tuple[str, ...]


def embed_prompt(parts: PromptedParts, options: Options) -> EmbeddedPrompt:
    """Encodes the prompt of a run, and with guidance the negative one, by the model's text encoder."""
    tokens = tokenize(parts.tokenizer, parts.text_encoder, options)
    masked = getattr(parts.text_encoder.config, "use_attention_mask", False)
    with torch.inference_mode():
        encoded = parts.text_encoder(
            tokens.numbers, attention_mask=tokens.mask if masked else None, output_hidden_states=True
        )
    return EmbeddedPrompt(encoded.last_hidden_state, encoded.hidden_states[-1], encoded.pooler_output, tokens.notes)


def tokenize(tokenizer: CLIPTokenizer, encoder: CLIPTextModel, options: Options) -> Tokens:
    """Cuts the prompt of a run, and with guidance the negative one first, into what the encoder reads."""
    texts = {"negative prompt": options.negative_prompt, "prompt": options.prompt}
    if not options.guided:
        del texts["negative prompt"]
    length = _context_length(tokenizer, encoder)
    with _tokenizing:
        notes = [note for name, text in texts.items() for note in _note_cut(tokenizer, length, name, text)]
        tokens = tokenizer(
            list(texts.values()), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
    return Tokens(tokens.input_ids, tokens.attention_mask, tuple(notes))


def _context_length(tokenizer: CLIPTokenizer, encoder: CLIPTextModel) -> int:
    """Returns how many tokens the encoder reads, the first and the last of which only mark the ends: 77 for CLIP."""
    most: Any = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
    return int(most)


def _note_cut(tokenizer: CLIPTokenizer, length: int, name: str, text: str) -> list[str]:
    # Not verbose: it would warn, on the terminal, of what the note tells.
    every = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    count, room = len(every), length - 2
    return [f"the {name} was cut: {room} of its {count} tokens were read"] if count > room else []
