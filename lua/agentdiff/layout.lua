--- The windows of a tab page as they were before one was opened among them: their sizes, where
--- each looked, and which one |CTRL-W_p| goes to. Must not open or close any, nor know what for.
local M = {}

local api = vim.api
local group = api.nvim_create_augroup('agentdiff.layout', {})

---@class agentdiff.WindowState
---@field win integer
---@field buf integer
---@field width integer
---@field height integer
---@field view table |winsaveview()|
---@field settled table? its view once the other window had been opened
---@field moved boolean? whether the user has moved in it, or scrolled it, since then

---@class agentdiff.Layout
---@field tab integer
---@field shape table |winlayout()|
---@field columns integer
---@field rows integer[] what decides how many the windows have together
---@field previous integer window that was the current one before; 0 when there was none
---@field states agentdiff.WindowState[]

---@param tab integer
---@return table
local function shape_of(tab)
  return vim.fn.winlayout(api.nvim_tabpage_get_number(tab))
end

---@return integer[]
local function rows()
  local tabline = vim.o.showtabline == 1 and #api.nvim_list_tabpages() > 1
  return { vim.o.lines, vim.o.cmdheight, vim.o.laststatus, vim.o.showtabline, tabline and 1 or 0 }
end

--- Returns where a window looks. What Neovim has not drawn yet it has not scrolled yet either.
---@param win integer
---@return table
local function view_of(win)
  return api.nvim_win_call(win, function()
    vim.fn.line('w0')
    return vim.fn.winsaveview()
  end)
end

--- Returns the layout of the current tab page.
---@return agentdiff.Layout
function M.take()
  local states = {}
  for _, win in ipairs(require('agentdiff.windows').grounded(0)) do
    states[#states + 1] = {
      win = win,
      buf = api.nvim_win_get_buf(win),
      width = api.nvim_win_get_width(win),
      height = api.nvim_win_get_height(win),
      view = view_of(win),
    }
  end
  local tab = api.nvim_get_current_tabpage()
  return {
    tab = tab,
    shape = shape_of(tab),
    columns = vim.o.columns,
    rows = rows(),
    previous = vim.fn.win_getid(vim.fn.winnr('#')),
    states = states,
  }
end

--- Notes where the windows look now that another one was opened. From there on the user moves them.
---@param layout agentdiff.Layout
function M.opened(layout)
  for _, state in ipairs(layout.states) do
    if api.nvim_win_is_valid(state.win) then
      state.settled = view_of(state.win)
    end
  end
end

--- Notes in which windows the user has moved, before the other one goes: that moves them again.
---@param layout agentdiff.Layout
function M.leaving(layout)
  for _, state in ipairs(layout.states) do
    local settled = state.settled
    if settled and api.nvim_win_is_valid(state.win) then
      local view = view_of(state.win)
      state.moved = api.nvim_win_get_buf(state.win) ~= state.buf
        or view.lnum ~= settled.lnum
        or view.col ~= settled.col
        or view.topline ~= settled.topline
    end
  end
end

--- Gives the windows their sizes back, as far as there is still the same room: the command line
--- would get what they do not take. Of |winrestcmd()| Neovim counts the floating windows too, which
--- may be others by now.
---@param layout agentdiff.Layout
local function resize(layout)
  local as_high = vim.deep_equal(rows(), layout.rows)
  -- Twice: what the first ones get depends on what the last ones have.
  for _ = 1, 2 do
    for _, state in ipairs(layout.states) do
      if as_high then
        api.nvim_win_set_height(state.win, state.height)
      end
      if vim.o.columns == layout.columns then
        api.nvim_win_set_width(state.win, state.width)
      end
    end
  end
end

--- Has |CTRL-W_p| go where it went, if it goes nowhere now. Autocommands need not know: the current
--- window stays.
---@param layout agentdiff.Layout
---@param lost boolean whether it goes where the user never sent it
local function restore_previous(layout, lost)
  local here, now = api.nvim_get_current_win(), vim.fn.win_getid(vim.fn.winnr('#'))
  local before = layout.previous
  if before == here or not api.nvim_win_is_valid(before) or vim.fn.mode() ~= 'n' then
    return
  elseif lost or now == 0 or now == here then
    vim.cmd(('noautocmd call win_gotoid(%d)'):format(before))
    vim.cmd(('noautocmd call win_gotoid(%d)'):format(here))
  end
end

--- Restores a layout when the user comes back to its tab page: Neovim knows only of the current one
--- how much room there is, and where |CTRL-W_p| goes.
---@param layout agentdiff.Layout
local function restore_later(layout)
  api.nvim_create_autocmd('TabEnter', {
    group = group,
    callback = function()
      local there = api.nvim_get_current_tabpage() == layout.tab
      if there then
        -- The line of the tab pages may be about to go.
        require('agentdiff.gate').soon(function()
          M.restore(layout)
        end)
      end
      return there or not api.nvim_tabpage_is_valid(layout.tab)
    end,
  })
end

--- Restores a layout, if the same windows stand in the same order. In one where the user has moved
--- they stay where they are.
---@param layout agentdiff.Layout
---@param focus integer? the window to be the current one
function M.restore(layout, focus)
  local tab = layout.tab
  if not api.nvim_tabpage_is_valid(tab) or not vim.deep_equal(shape_of(tab), layout.shape) then
    return
  elseif tab ~= api.nvim_get_current_tabpage() then
    restore_later(layout)
    return
  end
  local moved = focus ~= nil and focus ~= api.nvim_get_current_win()
  if moved then
    api.nvim_set_current_win(focus --[[@as integer]])
  end
  -- First: a window that is entered may grow to 'winwidth'.
  restore_previous(layout, moved)
  resize(layout)
  for _, state in ipairs(layout.states) do
    if not state.moved and api.nvim_win_get_buf(state.win) == state.buf then
      api.nvim_win_call(state.win, function()
        vim.fn.winrestview(state.view)
      end)
    end
  end
end

return M
