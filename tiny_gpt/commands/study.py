"""The protocol of an experiment's file: all conditions of one question."""

import dataclasses
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin, get_type_hints

from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.checks import check_choice

EXPERIMENTS = Path("experiments")  # of the working directory


@dataclass(frozen=True, kw_only=True)
class Study:
    """All conditions of one question.

    A file that defines one as `STUDY` is an experiment of the command line.

    Attributes:
        name: of the experiment and of its results folder.
        conditions: a line about each, by name.
        build_experiment: returns the experiment of a preset and a condition;
            callers use `build`, which checks both.
        sparse: mappings of which little is shown; the table and the report
            compare them with a memoriser.
        presets: names of the sizes in which it can be built.
        paper_accuracy: accuracy that a paper prints, as a fraction, by
            condition and mapping; figure and table show it.
        titles: conditions in the words of a figure, by name; one that has
            none is called by its name.
        chance: what the figure calls the accuracy of guessing.
        published: CSV file of published curves, which the figure shows as
            well: condition, epoch, task, metric, value.
        figure: name of the figure's file, without suffix.
        measurements: what is measured of trained networks after the runs,
            one module each (`experiments.measurements`); one of which a
            condition was not run is left out.
        draw: draws a figure of its own from the runs and a title, or returns
            None if a condition is missing; by default accuracy by epoch.
        file: path from which it was loaded; empty if it was loaded by name
            (`load_study`).

    Raises:
        ValueError: if a field has another type, or names something that does
            not exist.
    """

    name: str
    conditions: Mapping[str, str]
    build_experiment: Callable[[str, str], Experiment]
    sparse: tuple[str, ...]
    presets: tuple[str, ...] = ("quick", "paper")
    paper_accuracy: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict
    )
    titles: Mapping[str, str] = field(default_factory=dict)
    chance: str = "chance"
    published: Path | None = None
    figure: str = "curves"
    measurements: tuple[ModuleType, ...] = ()
    draw: Callable[[Evidence, str], Any] | None = None
    file: str = ""

    def __post_init__(self):
        check_types(self)
        for name in ("conditions", "presets", "sparse"):
            if not getattr(self, name):
                raise ValueError(
                    f"`{name}` of a study names at least one. "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        for name in ("paper_accuracy", "titles"):
            unknown = sorted(set(getattr(self, name)) - set(self.conditions))
            if unknown:
                raise ValueError(
                    f"`{name}` of a study is that of its conditions. "
                    f"Received: {unknown}, of {list(self.conditions)}"
                )
        if self.published is not None and not self.published.exists():
            raise ValueError(
                "`published` of a study is a file. "
                f"Received: published={str(self.published)!r}"
            )

    def build(self, preset: str, condition: str) -> Experiment:
        """Builds one condition.

        Raises:
            ValueError: if preset or condition is unknown, or the experiment
                has another name.
        """
        check_choice("preset", preset, self.presets)
        check_choice("condition", condition, tuple(self.conditions))
        experiment = self.build_experiment(preset, condition)
        found = (
            (experiment.name, experiment.condition)
            if isinstance(experiment, Experiment)
            else experiment
        )
        if found != (self.name, condition):
            raise ValueError(
                "`build_experiment` returns the experiment of its study and "
                f"condition, {(self.name, condition)}. Received: {found!r}"
            )
        return experiment


def check_types(instance: Any) -> None:
    """Checks the fields of a dataclass against their annotations.

    Only the outermost type counts: a tuple, a mapping, a callable.

    Raises:
        ValueError: if one has another type.
    """
    for name, hint in get_type_hints(type(instance)).items():
        value = getattr(instance, name)
        options = getattr(hint, "__args__", ()) if _is_union(hint) else (hint,)
        kinds = tuple(get_origin(option) or option for option in options)
        if not isinstance(value, kinds):
            raise ValueError(
                f"`{name}` of a {type(instance).__name__} is a "
                f"{' or '.join(kind.__name__ for kind in kinds)}. "
                f"Received: {name}={value!r}"
            )


def _is_union(hint: Any) -> bool:
    return get_origin(hint) is type(int | None)


def load_study(experiment: str, folder: Path | None = None) -> Study:
    """Loads the `STUDY` of an experiment's file.

    Args:
        experiment: path of the file, or its name in the folder.
        folder: where names are found; by default "experiments" in the working
            directory.

    Raises:
        ValueError: if there is no such file, or it does not define a valid
            study.
    """
    if experiment.endswith(".py"):
        study = load(Path(experiment), "STUDY", Study)
        return dataclasses.replace(study, file=experiment)
    folder = folder or EXPERIMENTS
    names = [
        path.stem
        for path in sorted(folder.glob("*.py"))
        if "\nSTUDY = " in path.read_text()
    ]
    if experiment not in names:
        raise ValueError(
            f"`experiment` must be one of {tuple(names)} in {folder}, or the "
            "path of a file, e.g. mine.py; --experiments PATH names another "
            "folder. "
            f"Received: experiment={experiment!r}"
        )
    return load(folder / f"{experiment}.py", "STUDY", Study)


def load(path: Path, name: str, kind: type) -> Any:
    """Loads an object that a Python file defines.

    A file of a package is imported as its module, any other file as a script
    with its folder on the path.

    Raises:
        ValueError: if the file cannot be run, or `name` is not a `kind`.
    """
    try:
        module = _import_file(path.resolve())
    except Exception as error:  # whatever the file does
        reason = str(error).strip().splitlines() or [""]
        raise ValueError(
            "The file of an experiment must exist and run without an error. "
            f"Received: {path}: {type(error).__name__}: {reason[0]}"
        ) from error
    found = getattr(module, name, None)
    if not isinstance(found, kind):
        raise ValueError(
            f"The file of an experiment defines {name} = {kind.__name__}(...). "
            f"Received: {path}, in which {name} is {found!r}"
        )
    return found


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError("no such file")
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if len(parts) > 1:
        return importlib.import_module(".".join(parts))
    name = f"experiment_{path.stem}"  # no other module's
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
