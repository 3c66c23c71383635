"""Writing on an NVIDIA GPU: the step for one token, recorded once and then repeated as a whole.

A small model keeps a GPU busy for a fraction of the time that it takes to ask for each operation. A recorded graph
(torch.cuda.CUDAGraph) is asked for once. For that every step must be the same to the GPU, in shapes and addresses: here
each looks at the whole capacity of the cache, and what is beyond a row's length is masked.

Written without a GPU: its arithmetic is tested on the CPU, where nothing is recorded; recording has never been run.
"""

import torch
from torch import Tensor

from model.architecture.config import ConfigError
from model.architecture.layers import KeyValueCache
from model.architecture.model import GPT
from pretraining.fast_model import FastModel, attend

WARM_UP_STEPS = 3  # before recording, so that libraries have chosen their routines and taken their memory


class GraphedModel:
    """Adds one token to each row of a cache and scores the next, as FastModel does, in steps that are all alike."""

    def __init__(self, model: GPT, rows: int) -> None:
        self.fast = FastModel(model, rows)
        self.device = model.head.weight.device
        self.recorded_rows = 0
        self.memory = 0  # where the cache of the recorded steps lies

    def next_scores(self, tokens: list[int], cache: KeyValueCache) -> Tensor:
        """Add one token to each row of the cache; returns the scores (rows, vocab), valid until the next call.

        Rows that have left the batch are still computed, until only half are left. Raises ConfigError when a row is
        full.
        """
        rows, end = len(tokens), max(cache.lengths) + 1
        if end > cache.capacity:
            raise ConfigError(f"{end} tokens do not fit into a cache for {cache.capacity}")
        if rows > self.recorded_rows or rows <= self.recorded_rows // 2 or cache.keys.data_ptr() != self.memory:
            self._record(cache)
        self.tokens[:rows] = torch.tensor(tokens)
        self.positions[:rows] = torch.tensor(cache.lengths)
        self.repeat()
        cache.lengths = [length + 1 for length in cache.lengths]
        return self.scores[:rows]

    def _record(self, cache: KeyValueCache) -> None:
        """Make ready to repeat the step for this cache. What is done while recording touches places yet unwritten."""
        self.keys, self.values = cache.keys, cache.values
        self.memory, self.recorded_rows = cache.keys.data_ptr(), len(cache.lengths)
        self.tokens = torch.zeros(self.recorded_rows, dtype=torch.long, device=self.device)
        self.positions = torch.tensor(cache.lengths, device=self.device)
        self.rows = torch.arange(self.recorded_rows, device=self.device)
        self.places = torch.arange(cache.capacity, device=self.device)
        if self.device.type != "cuda":
            self.repeat = self._step
            return
        with torch.cuda.device(self.device):  # streams are of the GPU in use, which need not be the model's
            beside = torch.cuda.Stream()
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(WARM_UP_STEPS):
                    self._step()
            torch.cuda.current_stream().wait_stream(beside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=beside):
                self._step()
        self.repeat = graph.replay

    def _step(self) -> None:
        """From `tokens` at `positions` to `scores`: tensors that stay where they are."""
        visible = (self.places <= self.positions[:, None])[:, None, None]  # (B, 1, 1, capacity)

        def look_back(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys, values = self.keys[layer], self.values[layer]  # (B, H, capacity, D)
            keys[self.rows, :, self.positions], values[self.rows, :, self.positions] = key[:, :, 0], value[:, :, 0]
            return attend(query, keys, values, visible)

        self.scores = self.fast.scores(self.tokens, self.positions, look_back)
