"""llama.cpp reads a GGUF file: its server, in this process (package xllamacpp), asked over a port of this machine.

It keeps past keys and values in float32 and flash attention off, since its defaults (float16, and on where it can)
differ by 0.02. What it multiplies weights of fewer bits with, it rounds to as many.
"""

import json
from collections.abc import Sequence
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
import xllamacpp

from evaluation.exported.reader import TOLD, UNTOLD, refused

LIMIT = 1e-4
SURELY = 1e6  # added to a token's score, makes the server choose it; it tells the probabilities from before
PLAIN_TOKEN = "a"  # ends no character half-way: behind half a character the server tells nothing


class LlamaCppReader:
    """llama-server with one file, on the CPU."""

    limit = LIMIT

    def __init__(self, path: Path, dtype: str) -> None:
        self.program = f"llama.cpp (xllamacpp {version('xllamacpp')})"
        self.products = dtype
        self._path = path
        try:
            self._server = xllamacpp.Server(_settings(path))
        except (RuntimeError, ValueError) as error:
            raise refused(self.program, path, error) from None
        address = urlsplit(self._server.listening_address)
        self._connection = HTTPConnection(address.hostname, address.port, timeout=600)
        self._vocab_size = self._answer("GET", "/v1/models", {})["data"][0]["meta"]["n_vocab"]
        end = self._answer("GET", "/props", {})["eos_token"]
        self.end_tokens = self._answer("POST", "/tokenize", {"content": end, "parse_special": True})["tokens"]
        self._plain_token = self.encode(PLAIN_TOKEN)[0]

    def _answer(self, method: str, path: str, question: dict) -> dict:
        for last_try in (False, True):
            try:
                self._connection.request(method, path, json.dumps(question), {"Content-Type": "application/json"})
                answer = json.loads(self._connection.getresponse().read())
                break
            except ConnectionError:  # the server hangs up after some seconds without a question
                self._connection.close()
                if last_try:
                    raise
        if "error" in answer:
            raise refused(self.program, self._path, answer["error"]["message"])
        return answer

    def _complete(self, tokens: Sequence[int], count: int, **more: object) -> dict:
        question = {"prompt": list(tokens), "n_predict": count, "temperature": 0, "return_tokens": True, **more}
        return self._answer("POST", "/completion", question)

    def encode(self, text: str) -> list[int]:
        question = {"content": text, "add_special": False, "parse_special": False}
        return self._answer("POST", "/tokenize", question)["tokens"]

    def encode_prompt(self, text: str) -> list[int]:
        return self._answer("POST", "/tokenize", {"content": text, "add_special": True})["tokens"]

    def decode(self, tokens: Sequence[int]) -> str:
        return self._answer("POST", "/detokenize", {"tokens": list(tokens)})["content"]

    def log_probabilities(self, tokens: Sequence[int], told: int = TOLD) -> np.ndarray:
        """One question for each token: the server tells only what it chooses from."""
        table = np.full((len(tokens), self._vocab_size), UNTOLD)
        for place, following in enumerate([*tokens[1:], self._plain_token]):
            for token, log_probability in self._next(tokens[: place + 1], following, told):
                table[place, token] = log_probability
        return table

    def _next(self, tokens: Sequence[int], following: int, told: int) -> list[tuple[int, float]]:
        for chosen, how_many in ((following, told), (self._plain_token, self._vocab_size)):
            answer = self._complete(tokens, 1, n_probs=how_many, logit_bias=[[chosen, SURELY]])
            if answer.get("completion_probabilities"):  # missing where `following` is part of a character
                entry = answer["completion_probabilities"][0]
                return [(told["id"], told["logprob"]) for told in (*entry["top_logprobs"], entry)]
        raise refused(self.program, self._path, f"no probabilities after {list(tokens[-3:])}")

    def continue_greedily(self, tokens: Sequence[int], count: int) -> list[int]:
        answer = self._complete(tokens, count)
        return answer["tokens"] + (self.end_tokens if answer["stop_type"] == "eos" else [])

    def close(self) -> None:
        self._connection.close()
        self._server = None


def _settings(path: Path) -> xllamacpp.CommonParams:
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx = 0  # as the file says
    settings.n_parallel = 1
    settings.n_gpu_layers = 0
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = torch.get_num_threads()
    settings.offline = True
    settings.warmup = False
    settings.verbosity = -1
    return settings


def read(path: Path, dtype: str) -> LlamaCppReader:
    """Open a GGUF file. Raises RefusedError where llama.cpp refuses it."""
    return LlamaCppReader(path, dtype)
