"""``ser recipes``: the packaged recipes."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from serkit.cli import app
from serkit.cli.extras import need_train
from serkit.cli.learning import RecipeArgument

recipes_app = typer.Typer(help="The packaged recipes.", invoke_without_command=True)
app.add_typer(recipes_app, name="recipes")


@recipes_app.callback()
def recipes(context: typer.Context) -> None:
    """List the packaged recipes."""
    if context.invoked_subcommand is not None:
        return
    need_train("Training")
    from serkit.training.recipe_files import list_recipes, recipe_systems

    systems = recipe_systems()
    table = Table("recipe", "system", "description", box=None, pad_edge=False)
    for name, description in list_recipes().items():
        table.add_row(name, systems[name], description)
    Console().print(table)


@recipes_app.command()
def show(name: RecipeArgument) -> None:
    """Print a recipe as TOML, to copy and edit."""
    need_train("Training")
    from serkit.training.recipe_files import load_recipe

    print(load_recipe(name).text, end="")
