"""The documents say what the code does: names are read from both and compared."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdiff.cli.main import parser as make_parser

CHECKOUT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
# What a shell line of README may start with besides what this project brings.
PLAIN_COMMANDS = {"ln", "rm", "echo"}


def _text(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def _lua() -> str:
    files = [*CHECKOUT.glob("lua/**/*.lua"), *CHECKOUT.glob("plugin/*.lua")]
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(files))


def _lua_table(file: str, name: str) -> str:
    """Returns the body of ``local <name> = { … }`` at the outermost level of a Lua file."""
    found = re.search(rf"^local {name} = \{{\n(.*?)^\}}", _text(file), re.MULTILINE | re.DOTALL)
    assert found, f"{file} has no table {name}"
    return found[1]


def _subcommands(table: str) -> list[str]:
    return re.findall(r"(?m)^  (\w+) = \{", _lua_table("lua/agentdiff/command.lua", table))


SUBCOMMANDS = {
    "AgentDiff": _subcommands("diff_commands"),
    "AgentBaseline": _subcommands("baseline_commands"),
}
PLUGS = re.findall(r"(?m)^  \['([a-z-]+)'\] = ", _lua_table("plugin/agentdiff.lua", "actions"))
OPTIONS = re.findall(
    r"(?m)^ +(?:\['([\w-]+)'\]|(\w+)) = \{", _lua_table("lua/agentdiff/config.lua", "schema")
)
GROUPS = re.findall(r"(?m)^  (AgentDiff\w+) = '", _text("lua/agentdiff/highlight.lua"))
EVENTS = re.findall(r"(?:\bfire\(|pattern = )'(AgentDiff\w+)'", _lua())
MAKE_TARGETS = set(re.findall(r"^([a-z0-9-]+):", _text("Makefile"), re.MULTILINE))
VIMDOC = _text("doc/agentdiff.txt")


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _parsers(child)


CLI = {each.prog: each for each in _parsers(make_parser())}


def _cli_names() -> list[tuple[str, str]]:
    options = [
        (prog, option)
        for prog, parser in CLI.items()
        for action in parser._actions
        if action.help != argparse.SUPPRESS
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    ]
    return [(prog, prog) for prog in CLI] + options


def _commands_of(document: str) -> list[str]:
    """Returns the shell lines of a document: of its ``sh`` blocks, and what is quoted in a row."""
    text = _text(document)
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    quoted = re.findall(r"`((?:\.venv/bin/)?agentdiff [a-z][^`]*|make [a-z][^`]*)`", text)
    return [line for block in blocks for line in block.splitlines() if line] + quoted


COMMANDS = [(document, line) for document in DOCUMENTS for line in _commands_of(document)]


@pytest.mark.parametrize(
    ("command", "sub"), [(name, sub) for name, subs in SUBCOMMANDS.items() for sub in subs]
)
def test_subcommand_of_neovim_is_documented(command: str, sub: str) -> None:
    """Every subcommand has a tag in the help file."""
    assert f"*:{command}-{sub}*" in VIMDOC


@pytest.mark.parametrize("action", PLUGS)
def test_plug_mapping_is_documented(action: str) -> None:
    """Every <Plug> mapping has an entry in the help file."""
    assert f"<Plug>(agentdiff-{action})" in VIMDOC


@pytest.mark.parametrize("option", sorted({first or second for first, second in OPTIONS}))
def test_option_is_documented(option: str) -> None:
    """Every key of the schema is named in the help file; some keys are names of actions."""
    named = re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", VIMDOC)
    assert named or f"<Plug>(agentdiff-{option})" in VIMDOC


@pytest.mark.parametrize("name", sorted({*GROUPS, *EVENTS}))
def test_highlight_group_and_event_is_documented(name: str) -> None:
    """Every name that a user can hook into is in the help file."""
    assert re.search(rf"\b{name}\b", VIMDOC)


@pytest.mark.parametrize(
    "tag", sorted(set(re.findall(r":help (agentdiff[\w-]*)", _text("README.md"))))
)
def test_help_tag_of_readme_exists(tag: str) -> None:
    """Where README sends the reader, there is a tag."""
    assert f"*{tag}*" in VIMDOC or f"*{tag}.txt*" in VIMDOC


@pytest.mark.parametrize(("prog", "name"), _cli_names())
def test_command_line_is_documented(prog: str, name: str) -> None:
    """Every subcommand and option of the command line is in the help file or in README."""
    text = VIMDOC + _text("README.md")
    assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.sub(r"\s+", " ", text)), prog


def _synopsis() -> Iterator[tuple[str, str]]:
    """Yields each option of README's synopsis with the command that it stands beside."""
    block = re.search(r"(?ms)^```text\n(agentdiff .*?)^```", _text("README.md"))
    assert block
    prog = ""
    for line in block[1].splitlines():
        if line.startswith("agentdiff"):
            words = line.split("  ")[0].split()
            known = [" ".join(words[:length]) for length in (3, 2, 1)]
            prog = next(name for name in known if name in CLI)
        yield from ((prog, option) for option in re.findall(r"--[a-z-]+", line))


def _synopsis_of_help() -> Iterator[tuple[str, str]]:
    """Yields what `_synopsis` does, for the help file; what is "the same" is given again."""
    block = re.search(r"(?ms)\*agentdiff-cli\*\n.*?>\n\n(.*?)^<", VIMDOC)
    assert block
    prog, found = "", dict[str, list[str]]()
    for line in block[1].splitlines():
        begun = re.match(r" {4}(agentdiff(?: [a-z]+)?)", line)
        if begun:
            prog = begun[1] if begun[1] in CLI else "agentdiff"
        if " the same, and " in line:
            found[prog] = list(found["agentdiff accept"])
        for word in re.findall(r"(?:--)?[a-z][a-z-]*", line):
            if word.startswith("--"):
                found.setdefault(prog, []).append(word)
            elif begun and f"{begun[1]} {word}" in CLI:
                prog = f"{begun[1]} {word}"  # of several in a row, options are those of the last
    return ((prog, option) for prog, options in found.items() for option in options)


@pytest.mark.parametrize(("prog", "option"), [*_synopsis(), *_synopsis_of_help()])
def test_option_in_the_synopsis_exists(prog: str, option: str) -> None:
    """README and the help file promise no option that the command does not take."""
    assert option in {name for action in CLI[prog]._actions for name in action.option_strings}


def test_the_synopsis_of_the_help_file_names_every_option() -> None:
    """Beside its command; what every command takes is said once."""
    everywhere = {"--json", "--help"}
    options = {pair for pair in _cli_names() if pair[1].startswith("--")}
    named = {*_synopsis_of_help()}
    assert {pair for pair in options - named if pair[1] not in everywhere} == set()


@pytest.mark.parametrize(("document", "line"), COMMANDS)
def test_command_in_a_document_exists(document: str, line: str) -> None:
    """Every make target exists, and every agentdiff command is one that the parser takes."""
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        assert {word for word in words[1:] if "=" not in word} <= MAKE_TARGETS
    elif words[0].endswith("agentdiff"):
        assert make_parser().parse_args(words[1:])
    else:
        assert words[0] in PLAIN_COMMANDS


@pytest.mark.parametrize(
    ("command", "sub"),
    [
        (command, sub)
        for document in DOCUMENTS
        for command, sub in re.findall(r":(AgentDiff|AgentBaseline) (\w+)", _text(document))
    ],
)
def test_editor_command_in_a_document_exists(command: str, sub: str) -> None:
    """Every subcommand that a document shows is one that Neovim knows."""
    assert sub in SUBCOMMANDS[command]


def test_help_tags_are_unique() -> None:
    """Neovim's :helptags takes the file."""
    tags = re.findall(r"(?<!\S)\*([^\s*|]+)\*(?!\S)", VIMDOC)
    assert sorted(tags) == sorted(set(tags))


def test_help_links_lead_somewhere() -> None:
    """Every link of the help file to a place of its own has a tag."""
    links = set(re.findall(r"\|((?::?Agent|agentdiff|<Plug>\(agentdiff)[^\s|]*)\|", VIMDOC))
    assert {link for link in links if f"*{link}*" not in VIMDOC} == set()


def test_plug_mappings_in_readme_exist() -> None:
    """A mapping copied from README works."""
    assert set(re.findall(r"<Plug>\(agentdiff-([a-z-]+)\)", _text("README.md"))) <= set(PLUGS)


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`([\w.]+/[\w./-]*)`", _text("ARCHITECTURE.md"))))
)
def test_path_in_architecture_exists(path: str) -> None:
    """The map shows the tree as it is."""
    assert (CHECKOUT / path).exists()


@pytest.mark.parametrize(
    ("document", "target"),
    [
        (document, target)
        for document in (*DOCUMENTS, "doc/protocol.md", "doc/decisions/README.md")
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", _text(document))
    ],
)
def test_link_to_a_file_leads_somewhere(document: str, target: str) -> None:
    """No relative link is dead."""
    assert (CHECKOUT / document).parent.joinpath(target).exists()


@pytest.mark.parametrize(
    "named", sorted(set(re.findall(r"`(tests/[^`]+)`", _text("doc/pains.md"))))
)
def test_test_named_as_a_proof_exists(named: str) -> None:
    """What is said to be shown by a test is."""
    path, _, function = named.partition("::")
    assert not function or f"\ndef {function}(" in _text(path)
    assert (CHECKOUT / path).exists()


def test_every_complaint_has_an_answer() -> None:
    """Twenty-five of them, each with a test."""
    rows = re.findall(r"(?m)^\| (\d+) \|.*\| `tests/.*` \|$", _text("doc/pains.md"))
    assert [str(n) for n in range(1, 26)] == rows


def _documented_methods() -> set[str]:
    rows = re.findall(
        r"(?m)^\| ((?:`[\w.]+`,? ?)+)(?:\(notification\) )?\|", _text("doc/protocol.md")
    )
    return {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}


def _answered_methods() -> set[str]:
    """Returns the methods that the daemon takes: its tables, and what it compares names with."""
    found = set()
    for path in sorted((CHECKOUT / "src/agentdiff/daemon").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        for table in re.findall(
            r"(?m)^(?:METHODS: .*|        (?:local|rpc) = )\{((?:.|\n)*?)\}", text
        ):
            found |= set(re.findall(r'"([\w.]+)": ', table))
        found |= set(re.findall(r'method == "([\w.]+)"', text))
        found |= set(re.findall(r'\{\*\*local, "(\w+)":', text))
    return found


def test_protocol_lists_exactly_what_the_daemon_answers() -> None:
    """Each documented method exists, and each existing one is documented."""
    assert _documented_methods() == _answered_methods()


def test_readme_begins_with_the_two_commands() -> None:
    """The first two things to type are `make demo` and `make test`."""
    assert _commands_of("README.md")[:2] == ["make demo", "make test"]


def test_architecture_fits_two_pages() -> None:
    """Two pages are read; more are not."""
    assert len(_text("ARCHITECTURE.md").split()) <= 1200


def test_every_decision_is_numbered_once() -> None:
    """Two branches did not take the same number."""
    numbers = [path.name[:4] for path in (CHECKOUT / "doc/decisions").glob("[0-9]*.md")]
    assert sorted(numbers) == sorted(set(numbers))
