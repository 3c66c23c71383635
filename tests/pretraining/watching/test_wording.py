"""Amounts in the reader's words."""

import os
import time

from pretraining.watching.wording import age, plural, size


def test_amounts_read_well():
    assert [plural(0, "file"), plural(1, "file"), plural(2000, "file")] == ["0 files", "1 file", "2,000 files"]
    assert [size(0), size(161_059_767), size(82_100_000_000)] == ["0.0 MB", "161.1 MB", "82.1 GB"]


def test_ages_are_told_in_their_largest_unit_and_a_clock_that_was_set_back_does_no_harm(tmp_path):
    for seconds, words in [
        (-500, "just now"),
        (59, "just now"),
        (61, "1 minute ago"),
        (3_599, "59 minutes ago"),
        (7_300, "2 hours ago"),
        (200_000, "2 days ago"),
    ]:
        moment = time.time() - seconds
        (tmp_path / "file").touch()
        os.utime(tmp_path / "file", (moment, moment))
        assert age(tmp_path / "file") == words
