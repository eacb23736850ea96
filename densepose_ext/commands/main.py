"""``densepose-ext COMMAND``, also ``python -m densepose_ext COMMAND``."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import warnings

import densepose_ext

#: Command: what it does. Its module, of the same name, has add_arguments(parser) and run(args).
COMMANDS = {
    "check": "say what a file of annotations holds, and what of it cannot be used",
    "configs": "list the configs that come with the package",
    "demo": "make people, train, score and draw: one page out of nothing",
    "evaluate": "score a file of detections, of whatever system",
    "export": "write a model as files that run without this package",
    "mesh": "write the surface seen in a picture as points, as a textured body, and drawn",
    "predict": "find people and their dense pose on pictures",
    "synth": "make pictures of synthetic people with exact dense pose",
    "texture": "paint an atlas onto people, gather one from people, dress people in others",
    "video": "find people in a video, keep track of them, and draw them",
}
#: Those that need no Detectron2, whose import takes seconds.
WITHOUT_DETECTRON2 = {"check", "configs", "synth"}


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: of the command line; default sys.argv[1:].

    Returns:
        the exit status: 0, 2 with one line on the standard error for input that cannot be used,
        or 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="densepose-ext")
    version = f"densepose-ext {densepose_ext.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        commands.add_parser(name, help=purpose, add_help=False)
    arguments = sys.argv[1:] if arguments is None else arguments
    # Up to the command the words are for this parser, the rest are for the command's own.
    words = (n for n, argument in enumerate(arguments, start=1) if not argument.startswith("-"))
    end = next(words, len(arguments))
    command = parser.parse_args(arguments[:end]).command

    # Only the module of the command that was asked for is imported.
    module = importlib.import_module(f"{__package__}.{command}")
    own_parser = argparse.ArgumentParser(
        prog=f"densepose-ext {command}", description=COMMANDS[command].capitalize() + "."
    )
    module.add_arguments(own_parser)
    options = own_parser.parse_args(arguments[end:])
    try:
        if command not in WITHOUT_DETECTRON2:
            _leave_deprecations_to_developers()
            densepose_ext.register()
        return module.run(options)
    except (ModuleNotFoundError, OSError, ValueError) as error:
        print(f"densepose-ext {command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ndensepose-ext {command}: stopped", file=sys.stderr)
        return 130


def _leave_deprecations_to_developers() -> None:
    """What torch says of how Detectron2 calls it is nothing that who types a command can change."""
    warnings.filterwarnings("ignore", module=r"torch\.functional")
    logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
