"""How the answer of generation_quality.py is shown: as a table and as a picture. Measures nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluation.figures import OURS, REFERENCE, bars_with_intervals, new_figure, save_figure
from evaluation.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = {"code": "functions of held-out code", "books": "sentences of held-out books"}
WHO = {"model": "this model", "real": "real text", "exchanged": "exchanged"}
SIGNS = {  # by their names in text_signs.py; `text` is the verdict on all of them
    "code": {
        "text": "looks like text",
        "words": "whole words",
        "repetition": "no loops",
        "syntax": "parses so far",
        "names": "uses the prompt's names",
    },
    "books": {
        "text": "looks like text",
        "words": "whole words",
        "repetition": "no loops",
        "prose": "stays prose",
    },
}
TICKS = (1, 2, 5, 10, 20, 50, 100)  # tokens
LONG_RUN = 25  # tokens that a text has in common with the corpus; of held-out text 1 in 100 has so many


def table(values: dict) -> list[str]:
    """The shares of good signs, the different n-grams and the copies, of the model and of real text."""
    sampling = values["sampling"]
    lines = [
        f"Generation: {sampling['max_new_tokens']} tokens at temperature {sampling['temperature']}, top_k "
        f"{sampling['top_k']}, top_p {sampling['top_p']}.",
        "Shares in % with their 95% interval, over packages and books. Real: how the text",
        "really goes on.",
        "Exchanged: real code behind the prompt of another function, so not to the point.",
    ]
    for kind, what in KINDS.items():
        measured = values[kind]
        columns = "".join(f"{WHO[who]:<18}" for who in measured["signs"]["text"])
        lines += ["", f"{measured['texts']} {what}", f"{'':<26}{columns}"]
        rows = {SIGNS[kind][name]: shares.values() for name, shares in measured["signs"].items()}
        for n, found in measured["distinct"].items():
            rows[f"different {n}-grams"] = [_as_share(ratio) for ratio in found.values()]
        overlaps = measured["overlap"].values()
        if overlaps:
            rows[f"copies of {LONG_RUN} tokens"] = [found["long"] for found in overlaps]
        lines += [f"{label:<26}" + "".join(f"{_percent(share):<18}" for share in row) for label, row in rows.items()]
        lines.append(f"{'characters':<26}" + "".join(f"{mean:<18.0f}" for mean in measured["characters"].values()))
        if overlaps:
            lines.append(f"{'longest copy, tokens':<26}" + "".join(f"{_spread(found):<18}" for found in overlaps))
    lines += ["", "different n-grams: those of words and symbols within a text, by all of them."]
    if "left_out" in values["corpus"]:
        lines += ["copies: left out.", values["corpus"]["left_out"]]
    else:
        millions = values["corpus"]["tokens"] / 1e6
        lines += [
            f"copies: runs that stand in the {millions:.1f}M tokens of the training corpus; of each text",
            "the longest, of half of the texts, of 9 in 10, and of all at most so many.",
        ]
        name, trained_on_it = values["corpus"]["name"].partition(".")[0], values["corpus"]["trained_on_it"]
        if trained_on_it is None:
            lines.append(f"Whether this model was trained on {name} is not known.")
        elif not trained_on_it:
            lines.append(f"This model was not trained on {name} as it is now.")
    return [line.rstrip() for line in lines]


def _percent(share: dict) -> str:
    low, high = _interval(share)
    return f"{100 * share['score']:.1f} ({100 * low:.1f}-{100 * high:.1f})".replace("100.0", "100")


def _interval(share: dict) -> Interval:
    """The interval of a share; where none is known, the share alone."""
    return Interval(*(share["interval"] or (share["score"], share["score"])))


def _as_share(ratio: dict) -> dict:
    """A ratio of counts in the form of a share."""
    return {"score": ratio["value"] or 0.0, "interval": ratio["interval"]}


def _spread(found: dict) -> str:
    half, most = np.percentile(found["lengths"], (50, 90))
    return f"{half:.0f}, {most:.0f}, {found['lengths'][-1]}"


def draw(values: dict, folder: Path) -> list[Path]:
    """One picture: the shares of code and of books beside those of real text, and how much each copies."""
    figure, (code, books, overlap) = new_figure(1, 3, size=(16, 5.5))
    for axes, kind, name, headline in (
        (code, "code", "Code", ("syntax", "names")),
        (books, "books", "Prose", ("words", "prose")),
    ):
        measured = values[kind]
        rows = {SIGNS[kind][sign]: shares for sign, shares in measured["signs"].items()}
        for n, found in measured["distinct"].items():
            rows[f"different {n}-grams"] = {who: _as_share(ratio) for who, ratio in found.items()}
        bars_with_intervals(
            axes,
            list(rows),
            [row["model"]["score"] for row in rows.values()],
            [_interval(row["model"]) for row in rows.values()],
            guesses=[row["real"]["score"] for row in rows.values()],
        )
        axes.set_xlim(0, 1.15)
        axes.set_xlabel(f"share of {measured['texts']} texts (95% interval)")
        axes.legend(axes.collections[-1:], ["how the text really goes on"], loc="upper left", bbox_to_anchor=(0, -0.1))
        findings = [f"{measured['signs'][sign]['model']['score']:.0%} {SIGNS[kind][sign]}" for sign in headline]
        axes.set_title(f"{name}: {findings[0]},\n{findings[1]}")
    _draw_overlap(overlap, values)
    return [save_figure(figure, folder / "generation_quality.png")]


def _draw_overlap(axes: "Axes", values: dict) -> None:
    """For each length the share of texts that have so long a run in common with the training corpus."""
    axes.set_xlabel("longest run that the training corpus has too (tokens)")
    axes.set_ylabel("share of texts with so many or more")
    if "left_out" in values["corpus"]:
        axes.set_title("Copying was not measured:\nthere is no training corpus")
        return
    for kind, style in (("code", "-"), ("books", "--")):
        for who, color, name in (("model", OURS, "this model"), ("real", REFERENCE, "real text")):
            lengths = np.array(values[kind]["overlap"][who]["lengths"])
            axes.plot(*_shares_at_least(lengths), style, color=color, drawstyle="steps-pre", label=f"{name}, {kind}")
    axes.legend(loc="upper right")
    axes.set_xscale("log")
    axes.set_xticks(TICKS, map(str, TICKS), minor=False)
    axes.minorticks_off()
    axes.set_ylim(0, 1.02)
    model, real = (np.median(values["code"]["overlap"][who]["lengths"]) for who in ("model", "real"))
    axes.set_title(f"Half of the code copies {model:.0f} tokens in a row\nor more, half of the real code {real:.0f}")


def _shares_at_least(lengths: np.ndarray) -> tuple[Sequence[int], Sequence[float]]:
    """For every length up to one that no text reaches, the share of texts that reach it."""
    steps = np.arange(1, lengths.max() + 2)
    return steps, [(lengths >= step).mean() for step in steps]
