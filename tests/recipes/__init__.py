"""The recipes of docs/recipes, run as far as they can be here."""
