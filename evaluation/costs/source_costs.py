"""What held-out packages and books cost a model, beside what they cost an n-gram and the compressors xz and gzip.

Each compressor reads all documents of a package or book as one stream. Costs by place in the document are here too:
they show what a longer context is worth.
"""

import gzip
import itertools
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluation.costs.token_costs import (
    MARKS,
    MODEL,
    NGRAM,
    TokenCosts,
    mark_ratios,
    shown_interval,
    shown_ratio,
)
from evaluation.figures import REFERENCE, new_figure, save_figure
from evaluation.statistics import ratio_of_sums
from pretraining.perplexity import grade, perplexity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "xz": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
    "gzip": lambda data: gzip.compress(data, compresslevel=9),
}
POSITIONS = (0, 16, 32, 64, 128, 256, 512, 1024, 2048)  # tokens before: 0 to 15, 16 to 31, ...
UNITS = {"heldout_code": ("packages", "files"), "heldout_books": ("books", "parts")}


def measure_sources(costs: Sequence[TokenCosts]) -> dict:
    """One held-out set: a row for each source, one for all, and bits per byte by place in the document."""
    sources = sorted({cost.document.source for cost in costs})
    rows = []
    for source in sources:
        members = [cost for cost in costs if cost.document.source == source]
        stream = "".join(cost.document.text for cost in members).encode()
        compressed = {name: len(compress(stream)) for name, compress in COMPRESSORS.items()}
        rows.append(measure_row(source, members, [str(number) for number in range(len(members))], compressed))
    compressed = {name: sum(row["compressed_bytes"][name] for row in rows) for name in COMPRESSORS}
    units = [cost.document.source for cost in costs]
    return {
        "intervals": "95%, bootstrap over sources in the total, over documents in each source",
        "all": measure_row("all", costs, units, compressed),
        "sources": rows,
        "positions": measure_positions(costs),
    }


def measure_row(name: str, costs: Sequence[TokenCosts], units: Sequence[str], compressed: dict[str, int]) -> dict:
    """Perplexity and bits per byte of some documents; `units` says for each what is resampled with it."""
    sizes = np.array([cost.document.bytes for cost in costs])
    tokens = np.array([len(cost.sizes) for cost in costs])
    bits = {scorer: np.array([cost.bits[scorer].sum() for cost in costs]) for scorer in costs[0].bits}
    nats_per_token = ratio_of_sums(bits[MODEL] * np.log(2), tokens, units)
    value, interval = nats_per_token["value"], nats_per_token["interval"]
    row = {
        "name": name,
        "documents": len(costs),
        "bytes": int(sizes.sum()),
        "tokens": int(tokens.sum()),
        "perplexity": {
            "value": perplexity(value),
            "interval": interval and [perplexity(bound) for bound in interval],
            "grade": grade(perplexity(value)),
        },
        "bits_per_byte": {scorer: ratio_of_sums(values, sizes, units) for scorer, values in bits.items()},
        "compressed_bytes": compressed,
    }
    for compressor, size in compressed.items():
        row["bits_per_byte"][compressor] = {"value": 8 * size / row["bytes"], "interval": None}
    if NGRAM in bits:
        row["more_than_ngram"] = ratio_of_sums(bits[MODEL] - bits[NGRAM], sizes, units)
    return row


def measure_positions(costs: Sequence[TokenCosts]) -> list[dict]:
    """Bits per byte of tokens by how many stand before them, in the documents that reach to the last of POSITIONS.

    The same documents at every place, since short and long ones differ in more than length. Empty where none is long.
    """
    long = [cost for cost in costs if len(cost.sizes) >= POSITIONS[-1]]
    sources = [cost.document.source for cost in long]
    places = []
    for start, end in itertools.pairwise(POSITIONS):
        sizes = np.array([cost.sizes[start:end].sum() for cost in long])
        place = {"from": start, "to": end, "documents": len(long)}
        for scorer in costs[0].bits:
            place[scorer] = ratio_of_sums(
                np.array([cost.bits[scorer][start:end].sum() for cost in long]), sizes, sources
            )
        places.append(place)
    return places if long else []


def source_lines(name: str, found: dict) -> list[str]:
    """One held-out set as lines of at most 80 characters."""
    total, (units, documents) = found["all"], UNITS[name]
    lines = [
        f"{name}: {total['documents']:,} {documents} of {len(found['sources'])} {units}, {total['bytes']:,} bytes",
        f"({found['sample']})",
        f"{'':14}{documents:>6}  {'perplexity':16}{'bits/byte':>9}  {'95%':12}{'n-gram':>7}{'xz':>6}{'gzip':>6}",
        *(_row_line(row) for row in [*found["sources"], total]),
    ]
    if total["perplexity"]["interval"]:
        low, high = total["perplexity"]["interval"]
        lines.append(
            f"Perplexity of all: {total['perplexity']['value']:.1f} [{low:.1f}, {high:.1f}], 95% over {units}."
        )
    if more := total.get("more_than_ngram"):
        lines.append(f"Bits per byte more than the n-gram: {more['value']:+.2f} {shown_interval(more)}.")
    return lines


def _row_line(row: dict) -> str:
    """One package or book, or all of them."""
    ratios, asked = row["bits_per_byte"], row["perplexity"]
    label = row["name"].rpartition("/")[2][:14]
    graded_perplexity = f"{_shown_perplexity(asked['value']):6} {asked['grade']}"
    others = "".join(f"{shown_ratio(ratios[name]):>6}" for name in COMPRESSORS)
    return (
        f"{label:14}{row['documents']:>6,}  {graded_perplexity:16}{shown_ratio(ratios[MODEL]):>9}"
        f"  {shown_interval(ratios[MODEL]):12}{shown_ratio(ratios.get(NGRAM)):>7}{others}"
    )


def _shown_perplexity(value: float) -> str:
    return f"{value:,.1f}" if value < 1e5 else f"{value:.0e}"


def draw_sources(sets: dict, context_length: int, path: Path) -> Path:
    """Bits per byte of each package and book, and for the first set by place in the document."""
    figure, (by_source, by_place) = new_figure(1, 2, size=(13, 6.5))
    rows: list[tuple[float, str, dict]] = []
    for number, (name, found) in enumerate(sets.items()):
        ranked = sorted(found["sources"], key=lambda row: row["bits_per_byte"][MODEL]["value"])
        for row in [found["all"] | {"name": f"all {UNITS[name][0]}"}, *ranked]:
            rows.append((len(rows) + number, row["name"].rpartition("/")[2], row["bits_per_byte"]))
    mark_ratios(by_source, rows)
    figure.legend(*by_source.get_legend_handles_labels(), loc="outside lower left", ncols=len(MARKS))
    name, found = next(iter(sets.items()))
    ratios = found["all"]["bits_per_byte"]
    others = f"n-gram {shown_ratio(ratios.get(NGRAM))}, xz {shown_ratio(ratios['xz'])}"
    by_source.set_title(f"Unseen {UNITS[name][0]}: model {shown_ratio(ratios[MODEL])} bits a byte, {others}")
    if found["positions"]:
        _draw_positions(by_place, found["positions"], context_length)
        by_place.set_ylabel(f"bits per byte, {name.replace('heldout_', 'held-out ')}")
    else:
        by_place.set_axis_off()
    return save_figure(figure, path)


def _draw_positions(axes: "Axes", positions: list[dict], context_length: int) -> None:
    """Bits per byte against the number of tokens that stand before."""
    for scorer in (NGRAM, MODEL):
        if scorer in positions[0]:
            ratios, style = [position[scorer] for position in positions], MARKS[scorer]
            axes.plot([ratio["value"] for ratio in ratios], marker=style["marker"], color=style["color"])
            bounds = [ratio["interval"] or [ratio["value"]] * 2 for ratio in ratios]
            axes.fill_between(range(len(ratios)), *zip(*bounds, strict=True), color=style["color"], alpha=0.12)
    end = np.searchsorted(POSITIONS, context_length) - 0.5
    axes.axvline(end, color=REFERENCE, linestyle=":")
    axes.annotate("end of the model's context", (end, 0.05), xytext=(-5, 0), textcoords="offset points", ha="right")
    axes.set_xticks(
        range(len(positions)), [f"{place['from']:,}-{place['to'] - 1:,}" for place in positions], rotation=30
    )
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"tokens before, in {positions[0]['documents']} documents of at least {POSITIONS[-1]:,} tokens")
    axes.set_title(f"The model sees {context_length} tokens, the n-gram remembers all")
