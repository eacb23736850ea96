"""The directive ``config-reference``: all config keys, from densepose_ext/config/.

Keys and defaults are those that ``add_densepose_config`` adds to Detectron2's. Their meaning comes
from the comments of its source: the comment on a key's own line is about that key, the comment
above a group of assignments is about the group.
"""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType

from detectron2.config import CfgNode, get_cfg
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from densepose_ext.config import keys

#: Headings, where a function's name makes a poor one.
TITLES = {
    "_add_head": "Dense pose head",
    "_add_data": "Data",
    "_add_evaluation": "Evaluation",
    "_add_hrnet": "HRNet",
    "_add_newer": "Keys of newer versions of Detectron2",
    "_add_own": "Keys of this package alone",
    "add_cse_config": "Continuous surface embeddings",
    "add_cascade_config": "Multi-task cascade",
    "add_teacher_config": "Teacher",
    "add_bootstrap_config": "Bootstrapping",
}


@dataclass
class Group:
    """Keys that share a comment.

    Attributes:
        comment: above them, in one paragraph.
        keys: dotted key -> comment on its own line.
    """

    comment: str
    keys: dict[str, str] = field(default_factory=dict)


@dataclass
class Section:
    """The keys that one function of densepose_ext/config adds."""

    title: str
    introduction: str
    groups: list[Group] = field(default_factory=list)


def added_keys() -> dict[str, object]:
    """Dotted key -> default, of every key that dense pose adds; an empty node counts as one."""
    before, after = get_cfg(), get_cfg()
    keys.add_densepose_config(after)
    old = _leaves(before)
    return {key: value for key, value in _leaves(after).items() if key not in old}


def _leaves(node: CfgNode, prefix: str = "") -> dict[str, object]:
    leaves = {}
    for name, value in node.items():
        key = prefix + name
        if isinstance(value, CfgNode) and value:
            leaves |= _leaves(value, key + ".")
        else:
            leaves[key] = {} if isinstance(value, CfgNode) else value
    return leaves


def read_sections() -> list[Section]:
    """A section for each function that ``add_densepose_config`` calls, with every added key."""
    missing = added_keys()
    sections = []
    for statement in _definition(keys.add_densepose_config).body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not isinstance(call, ast.Call):
            continue
        function = getattr(keys, call.func.id)
        module = inspect.getmodule(function)
        about = function if module is keys else module
        title = TITLES.get(function.__name__, function.__name__.strip("_").replace("_", " "))
        section = Section(title, inspect.getdoc(about) or "")
        _read_function(_definition(function), _comments(module), section, missing)
        if section.groups:
            sections.append(section)
    _add_computed_keys(sections, missing)
    if missing:
        rest = Group("", dict.fromkeys(missing, ""))
        sections.append(Section("Others", "", [rest]))
    return sections


def _definition(function: Callable) -> ast.FunctionDef:
    """The source of a function as a tree whose line numbers are those of its file."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(function)))
    return next(
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__
    )


def _comments(module: ModuleType) -> dict[int, tuple[str, bool]]:
    """Line number -> a comment, and whether it is alone on its line."""
    lines = io.StringIO(inspect.getsource(module)).readline
    return {
        token.start[0]: (token.string.lstrip("# "), token.line.lstrip().startswith("#"))
        for token in tokenize.generate_tokens(lines)
        if token.type == tokenize.COMMENT
    }


def _read_function(function, comments, section: Section, missing: dict) -> None:
    """Fills a section, and takes what it finds out of ``missing``."""
    names = {"cfg": ""}  # local name -> the node it stands for
    last_line = function.body[0].lineno - 1
    for statement in function.body:
        above = _comment_above(statement.lineno, comments)
        if above or statement.lineno > last_line + 1 or not section.groups:
            section.groups.append(Group(above))
        last_line = statement.end_lineno
        for assignment in ast.walk(statement):
            if not isinstance(assignment, ast.Assign):
                continue
            keys = [key for t in assignment.targets if (key := _dotted(t, names)) is not None]
            for target in assignment.targets:
                if isinstance(target, ast.Name) and keys:
                    names[target.id] = keys[0]
            own, alone = comments.get(assignment.end_lineno, ("", False))
            for key in keys:
                # A node that is assigned with its contents, CN({...}), has keys below it.
                whole = isinstance(assignment.value, ast.Call) and assignment.value.args
                found = [k for k in missing if k == key or (whole and k.startswith(key + "."))]
                section.groups[-1].keys |= dict.fromkeys(found, "" if alone else own)
                for k in found:
                    del missing[k]
    section.groups = [group for group in section.groups if group.keys]


def _add_computed_keys(sections: list[Section], missing: dict) -> None:
    """Puts keys whose names the source computes into the group of their nearest relatives."""
    groups = [group for section in sections for group in section.groups]
    for key in list(missing):
        node = key
        while "." in node and key in missing:
            node = node.rpartition(".")[0]
            for group in groups:
                if any(k.startswith(node + ".") for k in group.keys):
                    group.keys[key] = ""
                    del missing[key]
                    break


def _dotted(target: ast.expr, names: dict[str, str]) -> str | None:
    """``head.DEEPLAB.NORM`` as the key that it is; None for another kind of target."""
    parts = []
    while isinstance(target, ast.Attribute):
        parts.append(target.attr)
        target = target.value
    if not isinstance(target, ast.Name) or target.id not in names or not parts:
        return None
    return ".".join(filter(None, [names[target.id], *reversed(parts)]))


def _comment_above(line: int, comments: dict[int, tuple[str, bool]]) -> str:
    block: list[str] = []
    while comments.get(line - 1, ("", False))[1]:
        line -= 1
        block.insert(0, comments[line][0])
    return " ".join(block)


class ConfigReference(SphinxDirective):
    """Sections of tables: key, default, meaning."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(keys.__file__)
        container = nodes.section()
        container.document = self.state.document
        lines = "\n".join(_markdown(section) for section in read_sections()).splitlines()
        self.state.nested_parse(StringList(lines, "config"), 0, container, match_titles=True)
        return container.children


def _markdown(section: Section) -> str:
    """A heading, and tables. Neighbouring groups of one key share a table."""
    defaults = added_keys()
    text = [f"## {section.title}", "", _escaped(section.introduction), ""]
    in_table = False
    for group in section.groups:
        alone = len(group.keys) == 1
        if not (alone and in_table):
            text += ["", "" if alone else _escaped(group.comment), ""]
            shows_meaning = alone or any(group.keys.values())
            text += ["| key | default | meaning |" if shows_meaning else "| key | default |"]
            text += ["|---|---|---|" if shows_meaning else "|---|---|"]
        for key, own in group.keys.items():
            meaning = " ".join(filter(None, [group.comment if alone else "", own]))
            row = f"| `{key}` | `{defaults[key]!r}` |"
            text.append(f"{row} {_escaped(meaning)} |" if shows_meaning else row)
        in_table = alone
    return "\n".join(text)


def _escaped(text: str) -> str:
    # The docstrings are reStructuredText: its roles are left out.
    text = text.replace(":func:", "").replace(":class:", "").replace("``", "`")
    return text.replace("|", "\\|").replace("<", "&lt;")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("config-reference", ConfigReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
