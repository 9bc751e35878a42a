"""What command groups share: a group that is called without a subcommand does its usual thing."""

import typer


def is_for_subcommand(context: typer.Context) -> bool:
    """Whether the group's own options stand in front of a subcommand, which then acts in their place.

    Raises BadParameter if some were given there: they would be lost.
    """
    if context.invoked_subcommand is None:
        return False
    lost = [
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]
    if lost:
        raise typer.BadParameter(
            f"Options belong behind the subcommand: tenure {context.info_name} "
            f"{context.invoked_subcommand} --{lost[0].replace('_', '-')} …"
        )
    return True


def pair(text: str) -> tuple[str, str]:
    """The two sides of NAME=VALUE. Raises BadParameter."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise typer.BadParameter(f"The label {text!r} has no name. Give it as NAME=VALUE.")
    return name, value
