"""Checks of arguments, with messages that name the rule."""


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises a ValueError that names the choices, if `value` is not one."""
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {choices}. Received: {name}={value!r}"
        )
