"""What other plugins, statuslines and sessions get."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from nvim_driver import CHECKOUT, Editor, wait_for
from scripted_agent import Agent
from test_codeaction import OFFERED

SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "


@pytest.fixture
def shown(reviewer: Editor, agent: Agent) -> Editor:
    """An editor that shows ``a.txt`` with two pending hunks."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    reviewer.wait(SHOWN + "2")
    return reviewer


def plugin(editor: Editor, *names: str) -> None:
    """Puts plugins of PLUGINS_DIR on the runtime path; skips the test without them."""
    folder = os.environ.get("PLUGINS_DIR")
    if not folder:
        pytest.skip("no PLUGINS_DIR")
    for name in names:
        if not Path(folder, name).is_dir():
            pytest.skip(f"no {name} in PLUGINS_DIR")
        editor.command(f"set rtp^={Path(folder, name)}")


def test_positions_for_a_statusline(shown: Editor) -> None:
    """`position()` counts hunks, `diff_source()` is what lualine's `diff` takes."""
    shown.keys("15G")
    inside = shown.lua("return require('agentdiff').position()")
    shown.keys("1G")
    outside, source = shown.lua(
        "local a = require('agentdiff'); return { a.position(), a.diff_source() }"
    )
    assert (inside, outside) == ("2/2", "2")
    assert source == {"added": 0, "modified": 2, "removed": 0}


def test_the_text_of_a_clean_file_is_that_of_the_workspace(shown: Editor) -> None:
    """Where nothing pends in the buffer, `statusline()` tells what pends elsewhere."""
    shown.command("edit b.txt")
    shown.wait("vim.b.agentdiff_status == ''", "the file is known to be clean")
    text = shown.lua("return { require('agentdiff').statusline(), vim.g.agentdiff_status }")
    assert text == ["1 file 2 hunks claude working"] * 2


HEIRLINE = """
package.loaded.heirline = { setup = function(config)
  local component, kept = config.statusline, {}
  function _G.heirline()
    local win = vim.api.nvim_get_current_win()
    local text = component.update and kept[win] or component.provider(component)
    kept[win] = text
    return text
  end
  if component.update then
    vim.api.nvim_create_autocmd(component.update[1], {
      pattern = component.update.pattern, callback = function() kept = {} end })
  end
  vim.o.statusline = '%{v:lua.heirline()}'
end }
"""
"""What heirline's cookbook promises of a component: a provider is called with each redraw, in its
window and buffer, unless `update` names the events from one of which to the next its text is kept.
"""


@pytest.mark.parametrize("real", [False, True])
def test_the_component_for_heirline(shown: Editor, real: bool) -> None:
    """The one of the manual shows the buffer that is in the window, from its first redraw on."""
    if real:
        plugin(shown, "heirline.nvim")
    else:
        shown.lua(HEIRLINE)
    manual = (CHECKOUT / "doc" / "agentdiff.txt").read_text()
    example = manual.split("For heirline: >lua\n")[1].split("\n<\n")[0]
    shown.wait("vim.g.agentdiff_status == '1 file 2 hunks claude working'")
    shown.lua("require('heirline').setup({ statusline = load('return ' .. ...)() })", example)
    look = """
    vim.cmd(...)
    vim.cmd('redrawstatus!')
    return vim.trim(vim.api.nvim_eval_statusline(vim.o.statusline, {}).str)
    """
    first, other, back = (shown.lua(look, f"edit {name}.txt") for name in "aba")
    assert (first, other, back) == ("~2", "1 file 2 hunks claude working", "~2")


def test_hunks_for_scripts(shown: Editor) -> None:
    """`hunks()` says where they are now, what stood there, and who did it."""
    shown.nvim.api.buf_set_lines(0, 0, 0, False, ["mine"])
    first = shown.lua("return require('agentdiff').hunks()")[0]
    assert (first["first"], first["last"], first["removed"]) == (11, 11, ["line 10"])
    assert first["owner"].startswith("claude")


def test_hunks_are_offered_for_selection(shown: Editor) -> None:
    """``:AgentDiff pick`` asks with `vim.ui.select` where no picker is loaded, and goes there."""
    offered = shown.lua(
        """
        local offered
        vim.ui.select = function(items, opts, choose)
          offered = vim.tbl_map(opts.format_item, items)
          choose(items[2])
        end
        vim.cmd('AgentDiff pick')
        return offered
        """
    )
    assert offered == ["a.txt:10  +1 -1  claude", "a.txt:15  +1 -1  claude"]
    assert shown.cursor() == (15, 0)


def test_a_picker_that_is_not_there_is_named(shown: Editor) -> None:
    """No error with a stack trace."""
    assert "snacks is not installed" in shown.told("AgentDiff pick snacks")


def test_telescope(shown: Editor) -> None:
    """``:Telescope agentdiff`` lists the hunks."""
    if not shown.lua("return vim.hl ~= nil"):
        pytest.skip("telescope needs Neovim 0.11")
    plugin(shown, "plenary.nvim", "telescope.nvim")
    shown.command("AgentDiff pick telescope")
    code = """
    local state = require('telescope.actions.state')
    local picker = state.get_current_picker(vim.api.nvim_get_current_buf())
    return picker and picker.manager and picker.manager:num_results() or 0
    """
    assert wait_for(lambda: shown.lua(code) == 2, "two results", shown)
    assert shown.lua("return require('telescope').load_extension('agentdiff').agentdiff ~= nil")


def test_snacks(shown: Editor) -> None:
    """The snacks picker gets the hunks."""
    plugin(shown, "snacks.nvim")
    shown.command("AgentDiff pick snacks")
    code = "local p = require('snacks').picker.get()[1]; return p and #p:items() or 0"
    assert wait_for(lambda: shown.lua(code) == 2, "two items", shown)


def test_mini_pick(shown: Editor) -> None:
    """mini.pick gets the hunks."""
    plugin(shown, "mini.nvim")
    shown.lua(
        """
        require('mini.pick').setup()
        require('mini.pick').start = function(opts) vim.g.got = #opts.source.items end
        vim.cmd('AgentDiff pick')
        """
    )
    assert shown.lua("return vim.g.got") == 2


def test_fzf_lua(shown: Editor) -> None:
    """fzf-lua gets one line per hunk that its actions understand."""
    plugin(shown, "fzf-lua")
    shown.lua(
        """
        require('fzf-lua').fzf_exec = function(lines) vim.g.got = lines end
        vim.cmd('AgentDiff pick fzf')
        """
    )
    assert [line.split(":")[1] for line in shown.lua("return vim.g.got")] == ["10", "15"]


def test_lualine(shown: Editor) -> None:
    """The component shows the same as `statusline()`."""
    plugin(shown, "lualine.nvim")
    shown.lua("require('lualine').setup({ sections = { lualine_b = { 'agentdiff' } } })")
    shown.command("redrawstatus")
    assert "~2" in shown.lua("return require('lualine').statusline(true)")


def test_mini_diff_shows_the_same_baseline(shown: Editor) -> None:
    """The source gives mini.diff the baseline as reference text."""
    plugin(shown, "mini.nvim")
    shown.lua(
        """
        require('mini.diff').setup({ source = require('agentdiff').mini_source() })
        MiniDiff.enable(0)
        """
    )
    code = "local d = MiniDiff.get_buf_data(0); return d and d.hunks and #d.hunks or 0"
    assert wait_for(lambda: shown.lua(code) == 2, "mini.diff's hunks", shown)


def test_mini_diff_shows_a_created_file(reviewer: Editor, agent: Agent) -> None:
    """All of it is new; what agentdiff accepts is shown no more."""
    plugin(reviewer, "mini.nvim")
    reviewer.command("edit new.txt")
    reviewer.wait("vim.b.agentdiff_workspace")
    agent.write("new.txt", "one\ntwo\n")
    reviewer.wait(SHOWN + "1")
    reviewer.lua(
        """
        require('mini.diff').setup({ source = require('agentdiff').mini_source() })
        MiniDiff.enable(0)
        """
    )
    code = """
    local data, lines = MiniDiff.get_buf_data(0), 0
    for _, hunk in ipairs(data and data.hunks or {}) do lines = lines + hunk.buf_count end
    return { data and data.ref_text or '', lines }
    """
    wait_for(lambda: reviewer.lua(code) == ["\n", 2], "mini.diff's hunk", reviewer)
    reviewer.command("AgentDiff! accept")
    wait_for(lambda: reviewer.lua(code) == ["one\ntwo\n", 0], "the accepted text", reviewer)


def test_follow_shows_where_the_agent_writes(shown: Editor, agent: Agent) -> None:
    """The follow window goes to the newest hunk; focus and cursor stay."""
    shown.keys("3G")
    shown.command("AgentDiff follow on")
    home = shown.lua("return vim.api.nvim_get_current_win()")
    agent.write("new.txt", "".join(f"{n}\n" for n in range(50)))
    agent.edit("b.txt", "three\n", "drei\n")
    code = """
    for _, win in ipairs(vim.api.nvim_list_wins()) do
      if win ~= ... then
        local name = vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(win))
        return { vim.fn.fnamemodify(name, ':t'), vim.api.nvim_win_get_cursor(win)[1] }
      end
    end
    """
    wait_for(lambda: shown.lua(code, home) == ["b.txt", 3], "the window follows", shown)
    assert shown.lua("return vim.api.nvim_get_current_win()") == home
    assert shown.cursor()[0] == 3
    shown.command("AgentDiff follow off")
    assert len(shown.lua("return vim.api.nvim_list_wins()")) == 1


def test_a_comparison_in_the_window_that_follows(shown: Editor) -> None:
    """Reading the file anew there does not take one half of it away."""
    shown.command("AgentDiff follow on | wincmd w | AgentBaseline")
    both = "return vim.tbl_map(function(win) return vim.wo[win].diff end, ...)"
    wins = shown.lua("return vim.api.nvim_list_wins()")
    before = shown.lua(both, wins)
    shown.command("edit")
    assert before == shown.lua(both, wins)
    assert before.count(True) == 2


def test_following_moves_no_window_of_a_comparison(reviewer: Editor, agent: Agent) -> None:
    """A split of a diffed window would be bound to the others, as would a file that one shows."""
    agent.write("b.txt", "".join(f"b {n}\n" for n in range(1, 301)))
    reviewer.command("edit b.txt | AgentDiff! accept")
    reviewer.command("edit a.txt | diffthis | vsplit b.txt | diffthis | normal! 10G")
    look = """
    return vim.tbl_map(function(win)
      local name = vim.fs.basename(vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(win)))
      local line, wo = vim.api.nvim_win_get_cursor(win)[1], vim.wo[win]
      return { name, line, vim.fn.line('w0', win), wo.diff and wo.scrollbind and wo.cursorbind }
    end, ...)
    """
    ours = reviewer.lua("return vim.api.nvim_list_wins()")
    reviewer.command("set columns=200 | AgentDiff follow on")  # beside them: all keep their heights
    before = reviewer.lua(look, ours)
    rows = [[name, line, bound] for name, line, _, bound in before]
    assert rows == [["b.txt", 10, True], ["a.txt", 10, True]]
    follows = reviewer.lua("return vim.fn.win_getid(2)")
    assert follows not in ours
    for name, line, old in (("b.txt", 250, "b 250\n"), ("a.txt", 15, "line 15\n")):
        agent.edit(name, old, "new\n")
        there = f"{{ vim.fs.basename(vim.fn.bufname(vim.fn.winbufnr({follows}))), "
        there += f"vim.fn.line('.', {follows}) }}"
        reviewer.wait(f"vim.deep_equal({there}, {{ '{name}', {line} }})", f"it follows to {name}")
        options = reviewer.lua("local w = vim.wo[...]; return { w.diff, w.scrollbind }", follows)
        assert (reviewer.lua(look, ours), options) == (before, [False, False])


def test_following_asks_nothing_about_swap_files(
    shown: Editor, agent: Agent, spawn: Callable[..., Editor], workspace: Path, tmp_path: Path
) -> None:
    """Another Neovim has the file open with unsaved changes: no E325 for what nobody opened."""
    swaps = f"set swapfile updatecount=1 directory={tmp_path}"
    other = spawn(cwd=workspace, config="let g:agentdiff = #{auto_attach: v:false}")
    other.command(f"{swaps} | edit b.txt | call setline(1, 'theirs') | preserve")
    assert len(list(tmp_path.glob("*.swp"))) == 1
    shown.command(f"{swaps} | AgentDiff follow on")
    agent.edit("b.txt", "three\n", "drei\n")
    name = "vim.fs.basename(vim.api.nvim_buf_get_name(vim.fn.winbufnr(2)))"
    shown.wait(f"{name} == 'b.txt'", "the window follows")
    assert ("E325" in shown.messages(), shown.lua("return vim.fn.mode()")) == (False, "n")


def test_events_have_data(reviewer: Editor, agent: Agent) -> None:
    """What was written, and each decision."""
    reviewer.lua(
        """
        vim.g.seen = {}
        vim.api.nvim_create_autocmd('User', {
          pattern = 'AgentDiff*',
          callback = function(args)
            local seen = vim.g.seen
            seen[#seen + 1] = { args.match, args.data }
            vim.g.seen = seen
          end,
        })
        """
    )
    agent.edit("a.txt", "line 2\n", "two\n")
    reviewer.wait(SHOWN + "1")
    reviewer.command("AgentDiff! accept")
    seen = reviewer.lua("return vim.g.seen")
    written = [data["written"] for name, data in seen if name == "AgentDiffUpdate"]
    decided = [data for name, data in seen if name == "AgentDiffDecision"]
    assert ["a.txt"] in written
    assert [(data["op"], data["done"][0]["path"]) for data in decided] == [("accept", "a.txt")]


def test_opening_and_closing_the_review_is_told(shown: Editor) -> None:
    """Once each, whatever opens and closes it; a second window changes nothing."""
    shown.lua(
        """
        _G.seen = {}
        vim.api.nvim_create_autocmd('User', { pattern = 'AgentDiffReview*',
          callback = function(args)
            _G.seen[#_G.seen + 1] = args.match:sub(#'AgentDiffReview' + 1)
            _G.data = args.data
          end })
        """
    )
    expected = []
    for command, event in (
        ("AgentDiff | split | close", "Open"),
        ("edit a.txt", "Close"),
        ("buffer #", "Open"),
        ("bwipeout!", "Close"),
        ("AgentDiff", "Open"),
    ):
        shown.command(command)
        expected.append(event)
        shown.wait(f"#_G.seen == {len(expected)}", command)
    assert shown.lua("return _G.seen") == expected
    root = shown.lua("return vim.b.agentdiff_workspace")
    there = shown.lua("return _G.data")
    assert there == {"workspace": root, "buf": shown.lua("return vim.fn.bufnr()")}
    shown.keys("q")
    wait_for(lambda: shown.lua("return #_G.seen") == 6, "closed by its key", shown)


def test_a_session_file_brings_the_review_back(
    shown: Editor, spawn: Callable[..., Editor], workspace: Path, tmp_path: Path
) -> None:
    """``:mksession`` with an open review: another Neovim that sources it shows the review."""
    shown.command("AgentDiff")
    shown.command(f"mksession {tmp_path}/Session.vim")
    (tmp_path / "waits.lua").write_text(WAITS)
    watch = f"luafile {tmp_path}/waits.lua"
    again = spawn("-S", str(tmp_path / "Session.vim"), cwd=workspace, config=watch)
    again.wait("vim.fn.search('+fifteen', 'nw') > 0")
    look = "return { vim.bo.filetype, vim.wo.foldmethod, vim.wo.winbar:match('by %w+') }"
    assert again.lua(look) == ["agentdiff", "manual", "by turn"]
    assert again.cursor()[0] == again.lines().index("+ten") - 4
    names = again.lua("return vim.tbl_map(vim.api.nvim_buf_get_name, vim.api.nvim_list_bufs())")
    assert [name for name in names if "restored" in name] == []
    assert again.lua("return _G.asked") == []


ASKS = """
_G.asked = {}
local rpc = require('agentdiff.rpc')
local request = rpc.request
rpc.request = function(method, payload, done)
  table.insert(_G.asked, method == 'review.open' and payload.filters or nil)
  return request(method, payload, done)
end
"""


def test_a_session_file_keeps_how_the_review_was_limited(
    shown: Editor, agent: Agent, spawn: Callable[..., Editor], workspace: Path, tmp_path: Path
) -> None:
    """Grouping and filters: what a key on a heading decides is no more than before."""
    agent.edit("b.txt", "two\n", "zwei\n")
    # The event of a session that was loaded comes once for each buffer.
    shown.command("vsplit | AgentDiff review group=file path=b.txt")
    shown.command(f"mksession {tmp_path}/Session.vim")
    bar, limited = shown.lua("return vim.wo.winbar"), shown.lines()
    (tmp_path / "asks.lua").write_text(ASKS)
    watch = f"luafile {tmp_path}/asks.lua"
    again = spawn("-S", str(tmp_path / "Session.vim"), cwd=workspace, config=watch)
    again.wait("vim.fn.search('+zwei', 'nw') > 0")
    asked = again.lua("return _G.asked")
    assert [filters["path"] for filters in asked] == ["b.txt"]
    assert (again.lines(), again.lua("return vim.wo.winbar")) == (limited, bar)
    assert "by file" in bar
    assert again.lua("return vim.g.AgentdiffSession") is None


def test_a_session_file_whose_turn_is_gone_restores_all_of_it(
    shown: Editor, agent: Agent, spawn: Callable[..., Editor], workspace: Path, tmp_path: Path
) -> None:
    """It is said, and everything else goes on following the agents."""
    session = tmp_path / "Session.vim"
    shown.command(f"AgentDiff review turn=1 | mksession {session}")
    session.write_text(session.read_text().replace('"turn":"1"', '"turn":"77"'))
    again = spawn("-S", str(session), cwd=workspace)
    again.wait("vim.fn.search('+fifteen', 'nw') > 0")
    again.wait("vim.api.nvim_exec2('messages', { output = true }).output:find('77')")
    agent.edit("b.txt", "two\n", "zwei\n")
    again.wait("vim.fn.search('+zwei', 'nw') > 0")


def test_a_session_file_that_is_written_before_the_review_is_there(
    shown: Editor, spawn: Callable[..., Editor], workspace: Path, tmp_path: Path
) -> None:
    """The next one has the review, and what it is limited to, all the same."""
    first, second = tmp_path / "first.vim", tmp_path / "second.vim"
    shown.command(f"AgentDiff review group=file path=a.txt | mksession {first}")
    between = spawn(cwd=workspace)
    between.command(f"source {first} | mksession {second}")
    again = spawn("-S", str(second), cwd=workspace)
    again.wait("vim.fn.search('+fifteen', 'nw') > 0")
    assert "by file" in again.lua("return vim.wo.winbar")
    assert "path=a.txt" in again.lua("return vim.wo.winbar")


def test_a_filter_that_names_nothing_changes_nothing(shown: Editor, agent: Agent) -> None:
    """It is refused, and the review and the marks of files go on following the agents."""
    shown.command("AgentDiff")
    assert "no turn '99' here" in shown.told("AgentDiff filter turn=99")
    agent.edit("a.txt", "line 3\n", "three\n")
    shown.wait("vim.fn.search('+three', 'nw') > 0")
    shown.command("edit a.txt")
    shown.wait("vim.b.agentdiff_status_dict.hunks == 3")


def test_a_review_that_cannot_be_restored(
    spawn: Callable[..., Editor], user: Path, tmp_path: Path
) -> None:
    """Its window says why; nothing was waited for, and no error is raised at the start."""
    (tmp_path / "Session.vim").write_text("edit agentdiff:///nowhere\n")
    (tmp_path / "waits.lua").write_text(WAITS)
    editor = spawn("-S", str(tmp_path / "Session.vim"), config=f"luafile {tmp_path}/waits.lua")
    editor.wait("vim.fn.getline(1):find('could not be opened: .')")
    assert editor.lua("return { _G.asked, vim.bo.modified }") == [[], False]


WAITS = """
local asked = {}
local rpc = require('agentdiff.rpc')
for _, name in ipairs({ 'wait', 'ping' }) do
  local real = rpc[name]
  rpc[name] = function(...)
    asked[#asked + 1] = debug.traceback(tostring((...)))
    return real(...)
  end
end
local request = vim.rpcrequest
vim.rpcrequest = function(...) asked[#asked + 1] = debug.traceback() return request(...) end
_G.asked = asked
"""


MINI = """
_G.texts = {}
package.loaded['mini.diff'] = { set_ref_text = function(_, text) table.insert(_G.texts, text) end }
require('agentdiff').mini_source().attach(vim.api.nvim_get_current_buf())
"""
"""What mini.diff does with a source; that it understands ours is tested with the real one."""


def test_nothing_waits_for_the_daemon_unasked(
    spawn: Callable[..., Editor], agent: Agent, workspace: Path
) -> None:
    """Reading, typing, saving, moving, statuslines, code actions, other plugins, writes."""
    reviewer = spawn("a.txt", cwd=workspace, config="let g:agentdiff = #{code_actions: v:true}")
    reviewer.wait("vim.b.agentdiff_workspace")
    reviewer.command("AgentDiff")
    reviewer.lua(WAITS)
    reviewer.command("edit b.txt")
    reviewer.wait("vim.b.agentdiff_workspace")
    reviewer.command("set statusline=%{v:lua.require'agentdiff'.statusline()}")
    reviewer.lua(MINI)
    agent.edit("b.txt", "two\n", "zwei\n")
    reviewer.wait(SHOWN + "1")
    reviewer.wait("_G.texts[2] == 'one\\ntwo\\nthree\\n'")
    assert reviewer.lua(OFFERED, 2, 2, "")[0].startswith("Accept the hunk")
    reviewer.keys("ggyyp:silent write<CR>jjkGggu")
    reviewer.lua("return { require('agentdiff').position(), require('agentdiff').hunks() }")
    agent.edit("b.txt", "three\n", "drei\n")
    reviewer.wait("vim.fn.search('drei', 'nw') > 0")
    reviewer.keys("<Plug>(agentdiff-next-hunk)<Plug>(agentdiff-preview-hunk)")
    reviewer.command("AgentDiff owner | AgentDiff inline off | AgentDiff inline on")
    reviewer.command("silent! wall | checktime | enew | AgentDiff follow on | AgentDiff follow off")
    agent.stop()
    assert reviewer.lua("return _G.asked") == []
    reviewer.command("AgentDiff! accept")
    assert len(reviewer.lua("return _G.asked")) == 1


def test_a_save_over_what_was_not_seen_waits_for_no_daemon(
    reviewer: Editor, home: Path, workspace: Path
) -> None:
    """It merges first, and for that only the Python of this editor is asked."""
    pid = int((home / "state/agentdiff/daemon.lock").read_text().split()[0])
    reviewer.lua(WAITS)
    os.kill(pid, signal.SIGSTOP)
    try:
        # In one go: nobody can have told of the write before.
        reviewer.lua(
            """
            vim.fn.setline(1, 'mine')
            local lines = vim.fn.readfile('a.txt')
            lines[15] = 'theirs'
            vim.fn.writefile(lines, 'a.txt')
            vim.cmd('silent write')
            """
        )
    finally:
        os.kill(pid, signal.SIGCONT)
    text = (workspace / "a.txt").read_text().splitlines()
    assert (text[0], text[14]) == ("mine", "theirs")
    assert [trace.split("\n")[0] for trace in reviewer.lua("return _G.asked")] == ["merge"]
