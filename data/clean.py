"""Decides which collected files are good training text, and reads the user's own ones without judging them.

The filters are those of Codex, CodeParrot and the BigCode projects, narrowed to what installed packages need: no
vendored copies, no tests, no tables, nothing generated. Licences and duplicates are dealt with elsewhere.
"""

import ast
import codecs
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

LARGEST_CODE_FILE = 1_000_000  # bytes; above are catalogues of test cases
SMALLEST_CODE_FILE = 200  # bytes; below are empty packages and re-exports
LONGEST_LINE, LONGEST_MEAN_LINE = 1000, 100  # characters (Chen et al. 2021)
LEAST_ALPHANUMERIC = 0.25  # of the characters
MOST_DIGITS = 0.2  # of the characters; above are tables too
LARGEST_LITERAL = 0.6  # of the lines in one list, dict, set, tuple or string: then the file is a table
CHAPTER = 64 << 10  # bytes at most; books are cut at blank lines after three quarters of it

VENDORED = {"_vendor", "vendor", "_vendored_packages", "vendored", "externals", "extern", "third_party", "_bundled"}
TESTS = {"test", "tests", "testing", "idle_test", "_internal_testing", "test-data", "test-examples"}
TABLES = {"encodings", "locale", "typeshed", "unicodedata", "_unicode", "sunicode"}
GENERATED_NAME = re.compile(r"(_pb2(_grpc)?|parsetab|lextab|yacctab|_generated\w*|_builtins|/_mapping|_version)\.py$")
GENERATED_HEADER = re.compile(
    r"(auto-?\s?generated|automatically (re-?)?generated|generated (by|from|with|file|code)|do not (edit|modify)"
    r"|machine.generated)",
    re.IGNORECASE,
)


class Unreadable(Exception):
    """A file can not be read as text; the message says why, to follow the file's name."""


class Rejected(Exception):
    """A collected file is not training text; the message is the name of the filter that says so."""


def reason_by_path(name: str) -> str | None:
    """The filter that a collected file fails by its name inside its package alone."""
    path = PurePosixPath(name)
    folders = {part.lower() for part in path.parts[:-1]}
    if folders & VENDORED:
        return "vendored copy"
    if folders & TESTS or re.match(r"(test_.*|.*_tests?|conftest|_?tests?)\.py$", path.name):
        return "tests"
    if folders & TABLES:
        return "tables"
    if GENERATED_NAME.search(path.name):
        return "generated"
    return None


def read_code(path: Path) -> str:
    """The text of a Python file: UTF-8, or what its coding line declares (PEP 263), with newlines as line ends.

    Raises:
        Unreadable: the file can not be read as text; the message says why.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"can not be read ({error.strerror})") from error
    if b"\0" in content:
        raise Unreadable("holds a NUL byte, so it is not text")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
        text.encode()  # an encoding such as utf-7 can hide surrogates, which no UTF-8 file can hold
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise Unreadable("is neither UTF-8 nor in an encoding that its first two lines declare") from error
    return with_newlines(text)


def with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_code(text: str) -> None:
    """Raise Rejected if the text of a collected Python file is not worth learning from."""
    size = len(text.encode())
    if size > LARGEST_CODE_FILE:
        raise Rejected("too large")
    if size < SMALLEST_CODE_FILE:
        raise Rejected("too small")
    lines = text.split("\n")
    if max(map(len, lines)) > LONGEST_LINE or len(text) / len(lines) > LONGEST_MEAN_LINE:
        raise Rejected("long lines")
    if sum(map(str.isalnum, text)) < LEAST_ALPHANUMERIC * len(text):
        raise Rejected("few letters")
    if sum(map(str.isdigit, text)) > MOST_DIGITS * len(text):
        raise Rejected("tables")
    if GENERATED_HEADER.search("\n".join(lines[:12])):
        raise Rejected("generated")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes in somebody else's strings
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise Rejected("does not parse") from error
    if _lines_of_literals(tree) > LARGEST_LITERAL * len(lines):
        raise Rejected("tables")


def _lines_of_literals(tree: ast.Module) -> int:
    """How many lines the constants and displays that are assigned at the top of a module take."""
    values = (node.value for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign) and node.value)
    tables = (value for value in values if isinstance(value, ast.List | ast.Dict | ast.Set | ast.Tuple | ast.Constant))
    return sum(value.end_lineno - value.lineno + 1 for value in tables if value.end_lineno - value.lineno > 5)


def read_chapters(path: Path) -> Iterator[str]:
    """Yield a book of any size in stretches of at most `CHAPTER` bytes, cut at blank lines where there are any.

    Raises:
        Unreadable: before the first stretch, if the file is not UTF-8 text.
    """
    _check_book(path)
    lines: list[str] = []
    size, after_blank = 0, False
    with open(path, encoding="utf-8-sig") as book:
        while line := book.readline(CHAPTER // 4):
            length = len(line.encode())
            blank = not line.strip()
            if size + length > CHAPTER or (after_blank and not blank and size > CHAPTER * 3 // 4):
                yield "".join(lines)
                lines, size = [], 0
            lines.append(line)
            size, after_blank = size + length, blank
    if "".join(lines).strip():
        yield "".join(lines)


def _check_book(path: Path) -> None:
    """Read the whole file once, so that a book is taken whole or not at all."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open(path, "rb") as book:
            while block := book.read(1 << 20):
                if b"\0" in block:
                    raise Unreadable("holds a NUL byte, so it is not UTF-8 text")
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except OSError as error:
        raise Unreadable(f"can not be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise Unreadable("is not UTF-8 text; save it as UTF-8 to have it in") from error
