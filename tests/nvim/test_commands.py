"""Commands, baseline, options and health, as a user types them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from nvim_driver import CHECKOUT, Editor
from scripted_agent import Agent
from test_review import pending

BEFORE = "".join(f"line {n}\n" for n in range(1, 21))
SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "


@pytest.fixture
def shown(reviewer: Editor, agent: Agent) -> Editor:
    """An editor that shows ``a.txt`` with two pending hunks, and ``b.txt`` deleted by the agent."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    agent.shell("rm b.txt")
    reviewer.wait(SHOWN + "2")
    return reviewer


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("AgentDiff next", 10),
        ("2AgentDiff next | AgentDiff next", 15),
        ("AgentDiff prev", 15),
    ],
)
def test_jumps(shown: Editor, command: str, expected: int) -> None:
    """``next`` and ``prev`` go to hunks of the buffer and wrap."""
    shown.command("normal! gg")
    shown.command(command)
    assert expected == shown.cursor()[0]


def test_the_quickfix_list_has_one_entry_per_hunk(shown: Editor) -> None:
    """``:AgentDiff qf`` lists every pending hunk, also of a deleted file."""
    shown.command("AgentDiff qf")
    items = shown.lua(
        """
        return vim.tbl_map(function(item)
          return { vim.fn.fnamemodify(vim.api.nvim_buf_get_name(item.bufnr), ':t'), item.lnum }
        end, vim.fn.getqflist())
        """
    )
    assert items == [["a.txt", 10], ["a.txt", 15], ["b.txt", 1]]


def test_pick_says_why_it_cannot_ask(editor: Editor, tmp_path: Path) -> None:
    """Once, and not that nothing pends as well."""
    gone = tmp_path / "gone"
    gone.mkdir()
    editor.command(f"cd {gone}")
    gone.rmdir()
    told = editor.told("AgentDiff pick")
    assert ("cwd" in told, told.count("agentdiff:")) == (True, 1)


def test_files_are_offered_for_selection(shown: Editor) -> None:
    """``:AgentDiff files`` asks with `vim.ui.select` and opens the choice."""
    offered = shown.lua(
        """
        local offered
        vim.ui.select = function(items, opts, choose)
          offered = vim.tbl_map(opts.format_item, items)
          choose(items[1])
        end
        vim.cmd('enew | AgentDiff files')
        return { offered, vim.fn.expand('%:t') }
        """
    )
    assert offered == [["modified  a.txt  +2 -2", "deleted   b.txt  +0 -3"], "a.txt"]


@pytest.mark.parametrize("command", ["AgentDiff status", "AgentDiff log"])
def test_reports_name_what_happened(shown: Editor, command: str) -> None:
    """The reports work and speak of the agent."""
    text = shown.command(command) + "\n".join(shown.lines())
    assert "claude" in text


def test_a_filter_shows_a_part(shown: Editor) -> None:
    """``:AgentDiff filter path=…`` limits the review and what ``all`` means in it."""
    shown.command("AgentDiff filter path=b.txt")
    heading = shown.lines()[1]
    shown.keys("ga")
    expected = ("deleted b.txt  +0 -3", 2)
    assert expected == (heading, pending(shown))


def test_all_of_one_call(shown: Editor, workspace: Path) -> None:
    """The log names a call; ``call=`` limits a review to it, and ``all`` in it and by command."""
    shown.command("AgentDiff log")
    (deletion,) = [line for line in shown.lines() if line.startswith("  Bash")]
    call = deletion.split()[-1]
    shown.command(f"close | AgentDiff filter call={call}")
    heading, bar = shown.lines()[1], shown.lua("return vim.wo.winbar")
    other = shown.told("AgentDiff reject all call=nothing")
    shown.command(f"AgentDiff reject all call={call}")
    assert (heading, f"call={call}" in bar) == ("deleted b.txt  +0 -3", True)
    assert "no tool call 'nothing' here" in other
    assert (workspace / "b.txt").exists()
    assert (workspace / "a.txt").read_text() != BEFORE


def test_all_of_one_agent(shown: Editor, workspace: Path) -> None:
    """``:AgentDiff reject all agent=…`` rejects only what that agent did."""
    shown.command("AgentDiff reject all agent=codex")
    kept = (workspace / "a.txt").read_text()
    shown.command("AgentDiff reject all agent=claude")
    expected = (True, BEFORE, True)
    assert expected == (
        "ten" in kept,
        (workspace / "a.txt").read_text(),
        (workspace / "b.txt").exists(),
    )


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("AgentDiff frobnicate", "frobnicate"),
        ("AgentBaseline frobnicate", "frobnicate"),
        ("AgentDiff accept all colour=red", "colour=red"),
        ("AgentDiff inline perhaps", "perhaps"),
        ("AgentBaseline set twice", "twice"),
    ],
)
def test_wrong_arguments_are_named(editor: Editor, command: str, named: str) -> None:
    """A usage error says which word was not understood."""
    told = editor.lua(
        """
        local told
        vim.notify = function(text) told = text end
        vim.cmd(...)
        return told
        """,
        command,
    )
    assert named in told


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("AgentDiff ", {"review", "accept", "reject", "undo", "redo", "next", "prev", "files",
                        "log", "qf", "filter", "inline", "install", "status"}),
        ("AgentBaseline ", {"show", "list", "set", "restore", "clear"}),
        ("AgentDiff inline o", {"on", "off"}),
        ("AgentDiff! reject a", {"all", "agent="}),
        ("AgentD rev", {"review"}),
        ("silent 2AgentB se", {"set"}),
        ("AgentDiff next | AgentDiff! accept f", {"file"}),
    ],
)  # fmt: skip
def test_completion(editor: Editor, typed: str, expected: set[str]) -> None:
    """Subcommands and their arguments complete."""
    assert expected <= set(editor.lua("return vim.fn.getcompletion(..., 'cmdline')", typed))


def test_completion_looks_at_what_is_before_the_cursor(editor: Editor) -> None:
    """What stands behind it is not what is being completed."""
    assert editor.lua(
        """
        local line = 'AgentDiff acc file'
        return { require('agentdiff.command').complete('AgentDiff', 'acc', line, #'AgentDiff acc'),
          require('agentdiff.command').complete('AgentDiff', 'fi', line, #line - 2) }
        """
    ) == [["accept"], []]


def test_unknown_options_are_named(editor: Editor) -> None:
    """`setup()` names each wrong option and keeps the default."""
    problems = editor.lua(
        """
        local told = {}
        vim.notify = function(text) told[#told + 1] = text end
        require('agentdiff').setup({
          inlin = {}, inline = { signs = 'yes' }, review = { open = 'x' },
        })
        return { told, require('agentdiff.config').get().inline.signs }
        """
    )
    named = [re.sub(r":.*", "", text.removeprefix("agentdiff: config: ")) for text in problems[0]]
    assert (named, problems[1]) == (["inlin", "inline.signs", "review.open"], True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("inline = { sign_add = '+++' }", "a text that is one or two columns wide"),
        ("inline = { sign_change = '\\t' }", "a text that is one or two columns wide"),
        ("inline = { sign_delete = '' }", "a text that is one or two columns wide"),
        ("inline = { priority = -1 }", "a whole number from 0 to 65534"),
        ("inline = { priority = 20.5 }", "a whole number from 0 to 65534"),
        ("inline = { priority = 65535 }", "a whole number from 0 to 65534"),
        ("timeout_ms = -1", "a whole number from 1 to 2147483647"),
        ("review = { keys = { undo = '' } }", "a key or false"),
        ("keys = { undo = ('a'):rep(51) }", "a key or false"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(editor: Editor, given: str, expected: str) -> None:
    """What Neovim would refuse is told once, and the default is used for it."""
    problems, same = editor.lua(
        f"""
        local config = require('agentdiff.config')
        local options, problems = config.resolve({{ {given} }})
        return {{ problems, vim.deep_equal(options, (config.resolve({{}}))) }}
        """
    )
    assert ([text.split(": ")[1].split(", got")[0] for text in problems], same) == (
        [f"expected {expected}"],
        True,
    )


def test_options_come_from_a_variable_too(spawn: Callable[..., Editor]) -> None:
    """``vim.g.agentdiff`` needs no `setup()`, which goes over it."""
    editor = spawn(config="let g:agentdiff = #{auto_attach: v:false, timeout_ms: 5}")
    assert editor.lua(
        """
        local config = require('agentdiff.config')
        local before = config.get().timeout_ms
        require('agentdiff').setup({ timeout_ms = 7 })
        return { before, config.get().timeout_ms, config.get().auto_attach }
        """
    ) == [5, 7, False]


def test_keys_in_file_buffers_are_opt_in(spawn: Callable[..., Editor], agent: Agent) -> None:
    """Without the option no key of a file buffer is touched; with it, only those named."""
    maps = "return vim.tbl_map(function(m) return m.lhs end, vim.api.nvim_buf_get_keymap(0, 'n'))"
    without = spawn("a.txt", cwd=agent.workspace)
    without.wait("vim.b.agentdiff_workspace")
    chosen = spawn(
        "a.txt",
        cwd=agent.workspace,
        config="let g:agentdiff = #{keys: {'accept-hunk': 'ga'}}",
    )
    chosen.wait("vim.b.agentdiff_workspace")
    assert (without.lua(maps), chosen.lua(maps)) == ([], ["ga"])


def test_the_option_keys_takes_the_text_object(
    spawn: Callable[..., Editor], agent: Agent, workspace: Path
) -> None:
    """``select-hunk`` works after an operator and in Visual mode; ``ih`` still inserts an h."""
    editor = spawn(
        "a.txt", cwd=workspace, config="let g:agentdiff = #{keys: {'select-hunk': 'ih'}}"
    )
    agent.edit("a.txt", "line 10\nline 11\n", "ten\neleven\n")
    editor.wait(SHOWN + "1")
    editor.keys("11Gyih")
    yanked = editor.lua("return vim.fn.getreg('0')")
    editor.keys("10Gvih<Esc>")
    selected = editor.lua('return { vim.fn.line("\'<"), vim.fn.line("\'>") }')
    editor.keys("1Gihey <Esc>")
    assert (yanked, selected, editor.lines()[0]) == ("ten\neleven\n", [10, 11], "hey line 1")


def test_every_mapping_of_the_manual_exists(editor: Editor) -> None:
    """Each <Plug> that the manual names is mapped in normal and visual mode, and no other is."""
    manual = (CHECKOUT / "doc/agentdiff.txt").read_text()
    named = set(re.findall(r"\*(<Plug>\(agentdiff-[a-z-]+\))\*", manual))
    for mode in "nx":
        mapped = editor.lua(
            """
            local out = {}
            for _, map in ipairs(vim.api.nvim_get_keymap(...)) do
              if map.lhs:find('agentdiff') then out[#out + 1] = map.lhs end
            end
            return out
            """,
            mode,
        )
        assert named == set(mapped)


def test_the_option_keys_takes_the_mappings_of_files(editor: Editor) -> None:
    """Each <Plug> that the manual does not keep for the review buffer, and no other name."""
    manual = (CHECKOUT / "doc/agentdiff.txt").read_text()
    named = set(re.findall(r"\*<Plug>\(agentdiff-([a-z-]+)\)\*", manual))
    review_only = named - set(
        editor.lua("return vim.tbl_keys((require('agentdiff.config').resolve({})).keys)")
    )
    assert review_only == {"accept-group", "reject-group", "cycle-group"}
    assert all(f"`{name}`" in manual for name in review_only)
    assert set(editor.lua("return vim.tbl_keys(require('agentdiff.config').get().keys)")) < named


def test_every_group_of_the_manual_exists(editor: Editor) -> None:
    """Each highlight group that the manual names is defined, and no other is."""
    manual = (CHECKOUT / "doc/agentdiff.txt").read_text()
    named = set(re.findall(r"\*hl-(AgentDiff\w+)\*", manual))
    assert named == set(editor.lua("return vim.tbl_keys(require('agentdiff.highlight').groups)"))


def test_a_colour_scheme_keeps_the_groups(editor: Editor) -> None:
    """After ``:colorscheme`` the links are there again, and the user's own settings win."""
    editor.lua("require('agentdiff.highlight').setup()")
    editor.command("highlight AgentDiffFile guifg=#112233")
    editor.command("colorscheme blue")
    editor.command("colorscheme default")
    links = editor.lua("return vim.api.nvim_get_hl(0, { name = 'AgentDiffAdded' }).link")
    assert links == "DiffAdd"


def test_health_reports_the_road(shown: Editor) -> None:
    """``:checkhealth agentdiff`` finds interpreter, plugin, package and daemon in order."""
    shown.command("checkhealth agentdiff")
    text = "\n".join(shown.lines())
    assert ("ERROR" not in text, "remote plugin answers" in text, "agentdiff: daemon" in text) == (
        True,
        True,
        True,
    )


def test_health_names_conflicts(shown: Editor, agent: Agent) -> None:
    """What waits for the user is in the report."""
    shown.keys("3Gccmine<Esc>")
    agent.edit("a.txt", "line 3\n", "agents\n")
    shown.wait("vim.fn.search('^>>>>>>> on disk', 'nw') > 0")
    shown.command("AgentDiff | checkhealth agentdiff")  # a review is not watched
    text = "\n".join(shown.lines())
    assert ("a.txt: 1 unresolved conflicts" in text, "1 watched" in text) == (True, True)


def test_health_starts_no_daemon(editor: Editor, home: Path) -> None:
    """Looking is not using."""
    editor.command("checkhealth agentdiff")
    assert not (home / "state/agentdiff/daemon.lock").exists()
