"""An export is found to be the model when it is, and each known way of getting one silently wrong is noticed.

Every trap is planted into a real export and read by the real program, where that is installed, and by the plain reader.
"""

import importlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from evaluation.exported import check, plain_reader
from evaluation.exported.check import Comparison, compare
from evaluation.exported.own_reader import OwnReader
from evaluation.exported.reader import READERS, RefusedError, open_reader
from evaluation.exported.rounding import as_stored, rounding_cost, rounding_error
from evaluation.exported.texts import compared_texts, encoded_texts
from evaluation.held_out import read_held_out
from model.export.gguf_file import write_gguf
from model.export.hugging_face import write_hugging_face
from model.export.portable import PortableModel

pytest.importorskip("safetensors", reason="pip install -r tests/requirements.txt")
pytest.importorskip("gguf", reason="pip install -r tests/requirements.txt")


def works(package: str) -> bool:
    """Whether a program is there, and can be loaded on this machine."""
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


PROGRAMS = [
    pytest.param(
        (kind, program),
        id=f"{kind}, {program}",
        marks=pytest.mark.skipif(not there, reason=f"{package} is not installed"),
    )
    for kind, (package, _) in READERS.items()
    for program, there in (("its own", works(package)), ("plain", True))
    if (kind, program) != ("mlx", "plain")  # which is the same as for hf
]


FEW_COMPARED, FEW_ENCODED = dict(list(compared_texts().items())[:3]), encoded_texts()[:60]
ERRORS: dict[tuple, float] = {}  # what rounding_error has said


@pytest.fixture
def few_texts(monkeypatch):
    """Enough to notice a trap, and ten times as fast."""

    def known_error(trained, dtype, texts):
        key = (trained.model, dtype)
        return ERRORS.get(key) or ERRORS.setdefault(key, rounding_error(trained, dtype, texts))

    monkeypatch.setattr(check, "rounding_error", known_error)
    monkeypatch.setattr(check, "compared_texts", lambda: FEW_COMPARED)
    monkeypatch.setattr(check, "encoded_texts", lambda: FEW_ENCODED)
    monkeypatch.setattr(check, "CONTINUED", check.CONTINUED[:1])


def write(model: PortableModel, kind: str, dtype: str, folder: Path) -> Path:
    if kind == "gguf":
        return write_gguf(folder / "model.gguf", model, dtype)
    return write_hugging_face(folder, model, dtype).parent


def checked(path: Path, kind: str, dtype: str, program: str, expected) -> Comparison:
    """What a program finds; one that refuses the files has noticed, too."""
    try:
        reader = open_reader(kind, path, dtype) if program == "its own" else plain_reader.read(kind, path, "asked to")
        found = compare(reader, expected)
        reader.close()
    except RefusedError as error:
        return Comparison(program, 0.0, differences=[f"refused: {error}"])
    return found


@pytest.fixture(scope="module")
def exports(mini_portable, tmp_path_factory) -> dict[str, Path]:
    """One right export of each kind, in f32."""
    folder = tmp_path_factory.mktemp("exports")
    return {kind: write(mini_portable, kind, "f32", folder / kind) for kind in READERS}


# -- what is right is found right --------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", PROGRAMS)
def test_an_export_is_the_model(exports, mini, asked):
    kind, program = asked
    found = checked(exports[kind], kind, "f32", program, mini)
    assert found.differences == []
    assert found.equal_texts == found.texts >= 500
    assert found.places > 300 and found.continued > 100
    # 1e-4: the limits of float32 programs; a model that ignores what it reads would be just as far off as a wrong one.
    assert 0 < found.largest_difference < 1e-4
    scores = OwnReader(mini).log_probabilities(mini.tokenizer.encode("def f(x):"))
    assert scores.std() > 0.5, "scores that are all alike would prove nothing"


@pytest.mark.parametrize("asked", PROGRAMS)
@pytest.mark.parametrize("dtype", ["f16", "bf16", "q8_0"])
@pytest.mark.usefixtures("few_texts")
def test_an_export_of_fewer_bits_is_the_rounded_model(mini_portable, mini, asked, dtype, tmp_path):
    """Rounded by the formula in rounding.py, not by the library that wrote the file."""
    kind, program = asked
    if dtype == "q8_0" and kind != "gguf":
        pytest.skip("q8_0 is a format of GGUF")
    found = checked(write(mini_portable, kind, dtype, tmp_path), kind, dtype, program, as_stored(mini, kind, dtype))
    assert found.differences == []


def test_rounding_is_felt(exports, mini):
    """The check of a dtype is worth something only if another dtype fails it."""
    found = checked(exports["hf"], "hf", "f32", "plain", as_stored(mini, "hf", "bf16"))
    assert any("log-probability" in difference for difference in found.differences)


def test_what_rounding_costs_is_a_difference_on_the_same_text(mini_portable, mini, processed, tmp_path):
    documents = read_held_out("heldout_code", processed)
    exact = plain_reader.read("gguf", write(mini_portable, "gguf", "f32", tmp_path), "asked to")
    rounded = plain_reader.read("gguf", write(mini_portable, "gguf", "q8_0", tmp_path), "asked to")
    nothing, something = (rounding_cost(reader, OwnReader(mini), documents, 96) for reader in (exact, rounded))
    assert abs(nothing["cost"]["value"]) < 1e-5 < abs(something["cost"]["value"]) < 0.1
    low, high = something["cost"]["interval"]
    assert low <= something["cost"]["value"] <= high
    expected = something["bits_per_byte"] - something["bits_per_byte_unrounded"]
    assert something["cost"]["value"] == pytest.approx(expected)


# -- traps -------------------------------------------------------------------------------------------------------------


def swapped(model: PortableModel, one: str, other: str) -> PortableModel:
    """Every tensor with `one` in its name takes the place of its partner with `other`, and the other way round."""
    weights = dict(model.weights)
    for name in model.weights:
        if one in name:
            partner = name.replace(one, other)
            weights[name], weights[partner] = model.weights[partner], model.weights[name]
    return replace(model, weights=weights)


def permuted(model: PortableModel) -> PortableModel:
    """Queries and keys reordered as for llama.cpp's other kind of rotary positions."""
    weights = dict(model.weights)
    for name, weight in model.weights.items():
        if name.endswith(("query.weight", "key.weight")):
            halves = weight.reshape(model.config.n_heads, 2, -1, weight.shape[1])
            weights[name] = halves.swapaxes(1, 2).reshape(weight.shape).contiguous()
    return replace(model, weights=weights)


def transposed(model: PortableModel) -> PortableModel:
    name = "blocks.1.attention.output.weight"
    return replace(model, weights=model.weights | {name: model.weights[name].T.contiguous()})


def with_tokenizer(change: Callable[[dict], None]) -> Callable[[PortableModel], PortableModel]:
    def changed(model: PortableModel) -> PortableModel:
        values = json.loads(model.tokenizer_json)
        change(values)
        return replace(model, tokenizer_json=json.dumps(values))

    return changed


def sizes(**values: float) -> Callable[[PortableModel], PortableModel]:
    return lambda model: replace(model, config=replace(model.config, **values))


def a_little(model: PortableModel) -> PortableModel:
    name = "blocks.0.feed_forward.down.weight"
    return replace(model, weights=model.weights | {name: model.weights[name] * 1.001})


IN_EVERY_FORMAT = {
    "another theta": sizes(rope_theta=10_000.0),
    "another eps": sizes(norm_eps=1e-5),
    "query and key swapped": lambda model: swapped(model, "attention.query.", "attention.key."),
    "their norms swapped": lambda model: swapped(model, "query_norm", "key_norm"),
    "gate and up swapped": lambda model: swapped(model, "gate", "up"),
    "the norms of a block swapped": lambda model: swapped(model, "attention_norm", "feed_forward_norm"),
    "rows permuted": permuted,
    "a square matrix transposed": transposed,
    "one matrix a thousandth larger": a_little,
    "a merge that is missing": with_tokenizer(lambda values: values["model"]["merges"].pop(3)),
}


@pytest.mark.parametrize("trap", IN_EVERY_FORMAT)
@pytest.mark.parametrize("asked", PROGRAMS)
@pytest.mark.usefixtures("few_texts")
def test_a_wrong_export_is_noticed(mini_portable, mini, asked, trap, tmp_path):
    kind, program = asked
    path = write(IN_EVERY_FORMAT[trap](mini_portable), kind, "f32", tmp_path)
    found = checked(path, kind, "f32", program, mini)
    expected = "token ids of the text" if "merge" in trap else "log-probability in the text 'code', behind token"
    assert any(difference.startswith(expected) for difference in found.differences), found.differences


def without(key: str) -> Callable[[dict], object]:
    return lambda values: values.pop(key)


def other(**changes: object) -> Callable[[dict], object]:
    return lambda values: values.update(changes)


IN_FOLDERS = {  # the file, what is changed in it, programs that are right not to mind
    "tied embeddings": ("config.json", other(tie_word_embeddings=True), ("hf",)),
    "no word on tying": ("config.json", without("tie_word_embeddings"), ("hf",)),
    "no head_dim": ("config.json", without("head_dim"), ()),
    "no theta in its new place": ("config.json", without("rope_parameters"), ("hf", "mlx")),
    "another theta in its new place": (
        "config.json",
        other(rope_parameters={"rope_type": "default", "rope_theta": 1e6}),
        ("mlx",),
    ),
    "another theta in its old place": ("config.json", other(rope_theta=1e6), ("hf", "plain")),
    "another activation": ("config.json", other(hidden_act="gelu"), ("mlx", "plain")),
    "no start of text": ("tokenizer.json", other(post_processor=None), ()),
    "text normalised": ("tokenizer.json", other(normalizer={"type": "NFC"}), ()),
    "spaces cleaned up": ("tokenizer.json", other(decoder={"type": "WordPiece", "prefix": "##", "cleanup": True}), ()),
}


@pytest.mark.parametrize("trap", IN_FOLDERS)
@pytest.mark.parametrize("asked", [case for case in PROGRAMS if case.values[0][0] != "gguf"])
@pytest.mark.usefixtures("few_texts")
def test_a_wrong_file_in_the_folder_is_noticed(exports, mini, asked, trap, tmp_path):
    kind, program = asked
    name, change, unmoved = IN_FOLDERS[trap]
    path = shutil.copytree(exports[kind], tmp_path / "copy")
    values = json.loads((path / name).read_text(encoding="utf-8"))
    change(values)
    (path / name).write_text(json.dumps(values), encoding="utf-8")
    found = checked(path, kind, "f32", program, mini)
    assert found.same is ((kind if program == "its own" else program) in unmoved), found.differences


IN_GGUF = {  # what is written instead: the writer's method and its arguments
    "another split pattern": ("add_tokenizer_pre", "gpt-2"),
    "no start of text": ("add_add_bos_token", False),
    "another start of text": ("add_bos_token_id", 5),
    "another end of text": ("add_eos_token_id", 5),
    "another eps": ("add_layer_norm_rms_eps", 1e-5),
    "another theta": ("add_rope_freq_base", 1e6),
}


@pytest.mark.parametrize("trap", IN_GGUF)
@pytest.mark.parametrize("program", ["its own", "plain"])
@pytest.mark.usefixtures("few_texts")
def test_a_wrong_gguf_file_is_noticed(mini_portable, mini, program, trap, tmp_path):
    import gguf

    method, wrong = IN_GGUF[trap]
    right = getattr(gguf.GGUFWriter, method)
    with mock.patch.object(gguf.GGUFWriter, method, lambda writer, value: right(writer, wrong)):
        path = write(mini_portable, "gguf", "f32", tmp_path)
    found = checked(path, "gguf", "f32", program, mini)
    assert not found.same
