"""The flags that start a run again as it was started: what its log holds that CONFIG and the presets do not say.

Standard library alone: whatever names the next command uses it.
"""

from pathlib import Path

from pretraining.settings import PATHS, RESUME_WORDS, ROOT, read_settings


def flags_of_run(settings: dict, config: dict, saved: bool) -> list[str]:
    """Flags for train_improved.py with which the run of these settings goes on, given CONFIG as it is now.

    `saved` says whether the run has written a last.pt: until then, only what it was told to resume from knows it.
    A setting that was None and is a number in CONFIG now has no flag, and is left out. Raises SettingsError when
    CONFIG or the preset can not be run.
    """
    preset = settings["preset"]
    now = read_settings(config, ["--preset", preset])
    flags = [] if preset == config.get("preset", "default") else ["--preset", preset]
    for key in now:
        value = settings.get(key)
        if key not in ("preset", "resume") and value is not None and not _same(key, value, now[key]):
            flags += [f"--{key}", _shown(value)]
    resume = settings.get("resume", "auto")
    if resume == "last" or (resume not in RESUME_WORDS and not saved):
        flags += ["--resume", _shown(resume)]
    return flags


def flags_to_lengthen(settings: dict, config: dict, steps: int) -> list[str]:
    """Flags for train_improved.py with which the finished run of these settings goes on until `steps`.

    Raises SettingsError when CONFIG or the preset can not be run.
    """
    lengthened = {key: value for key, value in settings.items() if key not in ("max_steps", "max_minutes")}
    same = flags_of_run(lengthened | {"resume": "auto"}, config, saved=True)
    return [*same, "--resume", "last", "--max_steps", str(steps)]


def _same(key: str, then: object, now: object) -> bool:
    """Equal, also where the repository has been moved: its own paths moved with it."""
    if then == now or key not in PATHS or not Path(now).is_relative_to(ROOT):
        return then == now
    inside = Path(now).relative_to(ROOT).parts
    return Path(str(then)).parts[-len(inside) :] == inside


def _shown(value: object) -> str:
    """As it is typed: paths from the repository root, where train_improved.py takes them from."""
    if not isinstance(value, str):
        return str(value).removesuffix(".0")
    return Path(value).relative_to(ROOT).as_posix() if Path(value).is_relative_to(ROOT) else value
