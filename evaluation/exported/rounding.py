"""What a smaller dtype does to a model: our own with its weights rounded alike, and what that costs on unseen code."""

import copy
import math
import random
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from evaluation.exported.own_reader import OwnReader
from evaluation.exported.reader import Reader
from evaluation.held_out import Document
from evaluation.statistics import ratio_of_sums, units_of
from pretraining.checkpoint import TrainedModel

DOCUMENTS = 40  # of held-out code, of each its beginning
Q8_BLOCK, Q8_LARGEST = 32, 127


def as_stored(trained: TrainedModel, kind: str, dtype: str) -> TrainedModel:
    """The same model with the weights that an export of this kind and dtype holds, to compare it with."""
    model = copy.deepcopy(trained.model)
    with torch.no_grad():
        for parameter in model.parameters():
            if kind != "gguf" or parameter.ndim > 1:  # GGUF keeps the norms' vectors as they are
                parameter.copy_(rounded(parameter, dtype))
    return replace(trained, model=model)


def rounded(weight: Tensor, dtype: str) -> Tensor:
    """A float32 tensor after it was stored as `dtype` and read back."""
    if dtype == "q8_0":  # 32 neighbours of a row share a scale in float16; each is a whole number of -127 to 127
        blocks = weight.reshape(-1, Q8_BLOCK)
        scale = blocks.abs().amax(dim=1, keepdim=True) / Q8_LARGEST
        whole = torch.where(scale > 0, blocks / scale, 0.0).round()
        return (whole * scale.half().float()).reshape(weight.shape)
    return weight.to({"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[dtype]).float()


def rounding_error(trained: TrainedModel, dtype: str, texts: list[list[int]]) -> float:
    """The largest error in our own log-probabilities from rounding what weights are multiplied with.

    For f32 that is the difference from float64. Two programs that round can not be nearer to each other than about
    twice this.
    """
    other = copy.deepcopy(trained.model)
    if dtype == "f32":
        other.double()
    for part in other.modules():
        if dtype != "f32" and isinstance(part, nn.Linear):
            part.register_forward_pre_hook(lambda _, inputs: (rounded(inputs[0], dtype),))
    one, another = OwnReader(trained), OwnReader(replace(trained, model=other))
    return max(float(np.abs(one.log_probabilities(text) - another.log_probabilities(text)).max()) for text in texts)


def rounding_cost(theirs: Reader, ours: Reader, documents: list[Document], context_length: int) -> dict:
    """Bits per byte of held-out code with an export, read by its program, and with `ours`, which is not rounded.

    Of DOCUMENTS documents drawn at random the first context is read; the interval of the difference is over
    packages, or over documents where there are too few of these.
    """
    bits: dict[Reader, list[float]] = {theirs: [], ours: []}
    drawn = random.Random(0).sample(documents, min(DOCUMENTS, len(documents)))
    count, sizes = 0, []
    for document in tqdm(drawn, unit=" documents", leave=False, disable=None):
        read = ours.encode_prompt(document.text)[: context_length - 1]
        sizes.append(len(ours.decode(read[1:]).encode()))
        count += len(read) - 1
        for reader, found in bits.items():
            table = reader.log_probabilities(read, told=1)
            found.append(-table[range(len(read) - 1), read[1:]].sum() / math.log(2))
    differences = np.subtract(bits[theirs], bits[ours])
    return {
        "bits_per_byte": float(sum(bits[theirs]) / sum(sizes)),
        "bits_per_byte_unrounded": float(sum(bits[ours]) / sum(sizes)),
        "cost": ratio_of_sums(differences, sizes, units_of([document.origin for document in drawn])),
        "documents": len(drawn),
        "tokens": count,
        "bytes": sum(sizes),
    }
