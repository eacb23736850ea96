"""Runs of the command with a tiny random model."""

from densepose_ext.commands.main import main
from projects_tests.tiny_model import CONFIG


def predict(weights, *arguments) -> int:
    fixed = ["--model", CONFIG, "--weights", weights, "--device", "cpu", "--min-score", "0"]
    return main(["predict", *map(str, arguments), *fixed])


def files(folder) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
