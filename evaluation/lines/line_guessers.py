"""Answers to unfinished lines that need no model: what a model has to beat before its score means anything.

They may look at more than the model: `LONGEST_CONTEXT` characters of the file instead of what fits its context.
"""

from collections import Counter
from collections.abc import Sequence

from evaluation.lines.edit_similarity import edit_similarity
from evaluation.lines.line_items import LineItem

CONSTANTS_TRIED = 50  # the most frequent true answers, as answers to everything


def guess_newest_alike(item: LineItem) -> str:
    """The newest line above that begins like this one, from there on; asked for all of it, the line above."""
    start = item.start.lstrip()
    for line in reversed(item.before.split("\n")):
        if line.strip() and line.lstrip().startswith(start):
            return line.lstrip()[len(start) :]
    return ""


def guess_longest_match(item: LineItem) -> str:
    """What followed, up to the end of its line, where the longest possible ending of the context stood before."""
    context = item.before + item.start
    shortest, longest = 0, len(context) - 1
    while shortest < longest:  # an ending that stood before has endings that stood before
        length = (shortest + longest + 1) // 2
        found = context.rfind(context[len(context) - length :], 0, len(context) - 1) >= 0
        shortest, longest = (length, longest) if found else (shortest, length - 1)
    place = context.rfind(context[len(context) - shortest :], 0, len(context) - 1) + shortest
    return context[place:].split("\n", 1)[0] if shortest else ""


def guess_best_constant(items: Sequence[LineItem]) -> tuple[str, str]:
    """The one answer to all that is right most often, and the one that is most similar on average."""
    common = [rest for rest, _ in Counter(item.rest.strip() for item in items).most_common(CONSTANTS_TRIED)]
    nearest = max(common, key=lambda answer: sum(edit_similarity(answer, item.rest) for item in items))
    return common[0], nearest
