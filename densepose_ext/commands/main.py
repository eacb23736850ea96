"""``densepose-ext COMMAND``, also ``python -m densepose_ext COMMAND``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import densepose_ext

from ..processes.messages import one_line
from ..processes.notices import hide_notices
from .words import Parser, check_no_word_is_empty, check_nothing_is_overwritten

#: Command: what it does. Its module, with _ for -, has add_arguments(parser) and run(args).
COMMANDS = {
    "agreement": "measure distances on the body between two annotators' answers",
    "annotate": "annotate people's dense pose in a browser",
    "apply_net": "draw or dump people with the arguments of the official apply_net.py",
    "check": "count what an annotation file holds, and report what cannot be used",
    "configs": "list the configs that come with the package",
    "demo": "render people, train on them, evaluate, and write one page about it",
    "evaluate": "evaluate a results file, from any system",
    "export": "export a model to TorchScript or ONNX, to run without this package",
    "masks": "write masks of chosen parts of people in pictures",
    "mesh": "export a person of a picture as a point cloud and a textured mesh",
    "models": "list the shipped models and the official checkpoints",
    "predict": "find people and their dense pose in pictures",
    "serve": "find people in pictures that a browser or a program sends",
    "setup-detectron2": "install Detectron2 into this environment, without a compiler",
    "study": "train models side by side, or test one where it is hard, and write a page about it",
    "synth": "render a dataset of synthetic people with exact dense pose",
    "teach": "train a teacher on sparse points, and write its dense targets",
    "texture": "apply a texture atlas to people, extract one, or transfer one",
    "video": "find, track and draw people in a video",
}
#: Commands that do not import Detectron2, which takes seconds.
WITHOUT_DETECTRON2 = {
    "agreement",
    "annotate",
    "check",
    "configs",
    "models",
    "setup-detectron2",
    "synth",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: of the command line; default sys.argv[1:].

    Returns:
        exit status: 0; 2 for bad input, after one line on standard error; 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="densepose-ext")
    version = f"densepose-ext {densepose_ext.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        commands.add_parser(name, help=purpose, add_help=False)
    arguments = sys.argv[1:] if arguments is None else arguments
    # This parser takes the words up to the command, the command's own parser takes the rest.
    words = (n for n, argument in enumerate(arguments, start=1) if not argument.startswith("-"))
    end = next(words, len(arguments))
    command = parser.parse_args(arguments[:end]).command

    module = module_of(command)
    purpose = COMMANDS[command]
    own_parser = Parser(
        prog=f"densepose-ext {command}", description=f"{purpose[0].upper()}{purpose[1:]}."
    )
    module.add_arguments(own_parser)
    options = own_parser.parse_args(arguments[end:])
    for option, value in vars(options).items():
        setattr(options, option, _expanded(value))
    if sys.platform == "win32":  # where output to files and pipes has few letters
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace")
    try:
        check_no_word_is_empty(arguments[end:])
        check_nothing_is_overwritten(vars(options))
        hide_notices()
        if command not in WITHOUT_DETECTRON2:
            densepose_ext.register()
        status = module.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The output's reader, head for one, has seen enough. Python's own last flush must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError as error:
        print(f"densepose-ext {command}: out of memory: {one_line(error)}", file=sys.stderr)
        return 2
    except (ModuleNotFoundError, OSError, ValueError) as error:
        print(f"densepose-ext {command}: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ndensepose-ext {command}: stopped", file=sys.stderr)
        return 130


def module_of(command: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"{__package__}.{command.replace('-', '_')}")


def _expanded(value):
    """A value of an option, with ``~`` expanded: shells leave it in words such as --out=~/a."""
    if isinstance(value, list):
        return [_expanded(item) for item in value]
    is_in_home = isinstance(value, (str, Path)) and str(value).startswith("~")
    return type(value)(os.path.expanduser(value)) if is_in_home else value


if __name__ == "__main__":
    sys.exit(main())
