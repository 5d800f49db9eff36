"""Checks of arguments and packages, with messages that name the rule."""

import importlib.metadata
import importlib.util
import sys

EXTRAS = {
    **dict.fromkeys(
        (
            *("pandas", "matplotlib", "scipy", "jinja2", "rich", "filelock"),
            "shtab",
        ),
        "lab",
    ),
    "jax": "jax",
    "tensorflow": "tf-cpu",
    "torch": "torch",
    "ray": "ray",
    "submitit": "slurm",
    "fsspec": "remote",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
}


class MissingExtraError(ImportError, ValueError):
    """A package of an extra is not installed."""


def check_whole(name: str, value: object, least: int) -> None:
    """Raises a ValueError if `value` is not a whole number from `least` on."""
    if not isinstance(value, int) or value < least:
        raise ValueError(
            f"`{name}` must be at least {least}, a whole number. "
            f"Received: {name}={value!r}"
        )


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises a ValueError that names the choices if `value` is not one."""
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {choices}. Received: {name}={value!r}"
        )


def check_installed(*packages: str) -> None:
    """Checks that optional packages are installed, before they are imported.

    Args:
        packages: keys of `EXTRAS`.

    Raises:
        MissingExtraError: if some are not; it says what to install.
    """
    missing = [package for package in packages if not _is_installed(package)]
    if missing:
        extras = ",".join(dict.fromkeys(EXTRAS[package] for package in missing))
        raise MissingExtraError(
            f"This needs the extra {extras}: pip install 'tiny_gpt[{extras}]'. "
            f"Received: an environment without {', '.join(missing)}"
        )


def _is_installed(package: str) -> bool:
    if package in sys.modules:  # None: hidden
        return sys.modules[package] is not None
    return importlib.util.find_spec(package) is not None


def has_package(name: str) -> bool:
    """Tells whether a package is installed under this name of its own."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
