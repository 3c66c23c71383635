"""Which of HumanEval's problems stand in the training corpus: to pass one of them may be memory instead of skill."""

from collections.abc import Sequence

from data.corpus import CorpusError
from evaluation.generated_code.humaneval_problems import HumanEvalProblem
from evaluation.texts.corpus_overlap import longest_overlaps
from pretraining import dataset
from pretraining.checkpoint import TrainedModel
from pretraining.token_files import tokenize_corpus

LONG_RUN = 25  # tokens in a row; of held-out code 1 text in 100 has so many in common with the corpus


def overlap_with_corpus(trained: TrainedModel, problems: Sequence[HumanEvalProblem]) -> dict:
    """The problems that the corpus knows: LONG_RUN tokens in a row of prompt and canonical solution, or all of the
    solution. Where there is no corpus, it says so."""
    try:
        corpus = tokenize_corpus(dataset.PROCESSED / "mixed_corpus.txt", trained.tokenizer)
    except CorpusError as error:
        return {"left_out": str(error)}
    wholes = trained.tokenizer.encode_batch([problem.prompt + problem.solution for problem in problems])
    solutions = trained.tokenizer.encode_batch([problem.solution.strip() for problem in problems])
    runs = longest_overlaps([*wholes, *solutions], corpus.open())
    known = []
    for number, problem in enumerate(problems):
        in_whole, in_solution = runs[number], runs[number + len(problems)]
        # In the corpus the solution's last token may be a longer one, which goes on after it.
        has_solution = in_solution.length >= len(solutions[number]) - 1
        if in_whole.length >= LONG_RUN or has_solution:
            shared = wholes[number][in_whole.start : in_whole.start + in_whole.length]
            text = problem.solution.strip() if has_solution else trained.tokenizer.decode(shared)
            known.append({"problem": problem.id, "solution": has_solution, "tokens": in_whole.length, "text": text})
    return {
        "corpus": {"name": corpus.path.name, "sha256": corpus.corpus_sha256, "tokens": corpus.tokens},
        "long_run": LONG_RUN,
        "known": known,
    }
