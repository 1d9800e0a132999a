"""What a process of the command reads once is read once here too, for all commands that run in a process of tests."""

from __future__ import annotations

import functools
from unittest import mock

import botocore.loaders
import typer.main

# The tables of AWS: without this, each client reads megabytes of JSON.
mock.patch("botocore.session.create_loader", functools.cache(botocore.loaders.create_loader)).start()
# The options of each command, made of signatures and docstrings.
mock.patch("typer.main.get_command", functools.cache(typer.main.get_command)).start()
