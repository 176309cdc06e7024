--- One open comparison of a file with its base: what the vimdiff changed in the window of the file,
--- and its end, however that comes about. Must not know where a base comes from.
local M = {}

local api = vim.api
local group = api.nvim_create_augroup('agentdiff.comparison', {})
-- In this order: folds of the method `diff` become manual ones when the method changes.
local DIFF_OPTIONS = {
  'diff',
  'scrollbind',
  'cursorbind',
  'wrap',
  'foldmethod',
  'foldcolumn',
  'foldenable',
  'foldlevel',
}

local compared = {} ---@type table<integer, agentdiff.Comparison> the open ones by the file's buffer

---@class agentdiff.Comparison
---@field buf integer of the base
---@field file_buf integer
---@field file_win integer the window of the file that the base stands beside
---@field saved table<string, any> options of that window
---@field view table its |winsaveview()|
---@field layout agentdiff.Layout of the tab page before it was opened
---@field group integer? of autocommands
---@field forget fun() called when it ends
---@field after fun()? called when it has ended and windows may be changed
---@field base_win integer? the window that was opened for it
---@field closing boolean? the base is being removed
---@field ended boolean?
---@field left boolean? the user was in the window of the base when it ended
---@field line integer? of the cursor in the window of the file when it ended
---@field tidied boolean? the windows around it are as they were
---@field hunks string? JSON of the hunks that the base was last asked for at; nil: ask again
---@field asking boolean? an answer is on its way
---@field again boolean? and the base may have changed since it was asked for

--- Returns what a vimdiff changes in a window.
---@param win integer
---@return table<string, any>
function M.options_of(win)
  local saved = {}
  for _, name in ipairs(DIFF_OPTIONS) do
    saved[name] = vim.wo[win][name]
  end
  return saved
end

--- Returns what Neovim has them at.
---@return table<string, any>
function M.defaults()
  local out = {}
  for _, name in ipairs(DIFF_OPTIONS) do
    out[name] = vim.go[name]
  end
  return out
end

--- Returns what is given back to the windows of the files that are compared now.
---@return table<string, table<string, any>> options by path
function M.saved()
  local out = {}
  for file_buf, open in pairs(compared) do
    out[api.nvim_buf_get_name(file_buf)] = open.saved
  end
  return out
end

--- Whether a buffer is the base of an open comparison.
---@param buf integer
---@return boolean
function M.is_open(buf)
  for _, open in pairs(compared) do
    if open.buf == buf then
      return true
    end
  end
  return false
end

--- Gives a window the options that it had without a vimdiff.
---@param win integer
---@param saved table<string, any>
function M.give_options(win, saved)
  for _, name in ipairs(DIFF_OPTIONS) do
    -- Not the value for files to come (`:setlocal`, not `:set`).
    vim.wo[win][0][name] = saved[name]
  end
  if saved.foldmethod == 'manual' then
    api.nvim_win_call(win, function()
      vim.cmd('silent! normal! zE')
    end)
    vim.wo[win][0].foldenable = saved.foldenable
  end
end

---@param open agentdiff.Comparison
---@return boolean
local function shows_file(open)
  return api.nvim_win_is_valid(open.file_win)
    and api.nvim_win_get_buf(open.file_win) == open.file_buf
end

--- Scrolls the window of a file so that the cursor's line is where the user had it on the screen.
---@param open agentdiff.Comparison
local function scroll_back(open)
  local line = api.nvim_win_get_cursor(open.file_win)[1]
  api.nvim_win_call(open.file_win, function()
    vim.fn.winrestview({ topline = math.max(1, open.view.topline + line - open.view.lnum) })
  end)
end

--- Gives the window of a file back what the vimdiff changed.
---@param open agentdiff.Comparison
local function give_back_window(open)
  M.give_options(open.file_win, open.saved)
  scroll_back(open)
end

--- Gives the options of a file back when a window shows it again: Neovim keeps those of the vimdiff
--- for the window that it left, and has another one of that tab page inherit them.
---@param open agentdiff.Comparison
local function give_back_later(open)
  api.nvim_create_autocmd('BufWinEnter', {
    group = group,
    buffer = open.file_buf,
    callback = function()
      local win = api.nvim_get_current_win()
      if win == open.file_win then
        give_back_window(open)
      elseif not compared[open.file_buf] and vim.wo[win].diff then
        M.give_options(win, open.saved)
      end
      return win == open.file_win or not api.nvim_win_is_valid(open.file_win)
    end,
  })
end

---@param open agentdiff.Comparison
local function give_back(open)
  if shows_file(open) then
    give_back_window(open)
  elseif api.nvim_win_is_valid(open.file_win) then
    give_back_later(open) -- what it shows meanwhile is not touched
  end
end

--- Puts the windows around a comparison where they were, once they may be changed.
---@param open agentdiff.Comparison
local function tidy(open)
  if open.tidied then
    return
  end
  open.tidied = true
  require('agentdiff.layout').restore(open.layout, open.left and open.file_win or nil)
  if shows_file(open) and api.nvim_win_get_cursor(open.file_win)[1] == open.line then
    scroll_back(open)
  end
end

--- Notes where the user is while all the windows are still there.
---@param open agentdiff.Comparison
local function take_leave(open)
  open.left = api.nvim_get_current_win() == open.base_win
  require('agentdiff.layout').leaving(open.layout)
end

--- Ends a comparison whose base is about to be gone, or is.
---@param open agentdiff.Comparison
function M.finish(open)
  if open.ended then
    return
  end
  open.ended = true
  compared[open.file_buf] = nil
  open.forget()
  api.nvim_del_augroup_by_id(open.group --[[@as integer]])
  if not open.closing then
    take_leave(open)
  end
  give_back(open)
  open.line = shows_file(open) and api.nvim_win_get_cursor(open.file_win)[1] or nil
  require('agentdiff.inline').hide(open.file_buf, false)
  require('agentdiff.gate').soon(function()
    tidy(open)
    if open.after then
      open.after()
    end
  end)
end

--- Removes a base, wherever it is shown. A window that has nothing else to show gets another
--- buffer. In the command-line window that is not allowed, and a handler of the user's may fail.
---@param open agentdiff.Comparison
function M.close(open)
  if open.ended then
    return
  end
  take_leave(open)
  open.closing = true
  local ok, problem = pcall(api.nvim_buf_delete, open.buf, { force = true })
  if not ok then
    require('agentdiff.windows').warn(problem, 'baseline')
  end
  if not api.nvim_buf_is_valid(open.buf) then
    M.finish(open)
    tidy(open)
  end
  open.closing = nil
end

--- Whether the window of the file shows something else, and no other one of its tab page is
--- compared with the base instead.
---@param open agentdiff.Comparison
---@return boolean
function M.is_left(open)
  if not api.nvim_win_is_valid(open.file_win) or shows_file(open) then
    return false
  end
  for _, win in ipairs(api.nvim_tabpage_list_wins(api.nvim_win_get_tabpage(open.file_win))) do
    if api.nvim_win_get_buf(win) == open.file_buf and vim.wo[win].diff then
      return false
    end
  end
  return true
end

--- Ends a comparison when the base goes, and removes the base when the file goes, or another one
--- comes in its window.
---@param open agentdiff.Comparison
---@param base_win integer
function M.watch(open, base_win)
  open.base_win = base_win
  compared[open.file_buf] = open
  require('agentdiff.layout').opened(open.layout)
  open.group = api.nvim_create_augroup('agentdiff.comparison.' .. open.buf, {})
  local function on(event, where, callback)
    local opts = { group = open.group, nested = true, callback = callback }
    api.nvim_create_autocmd(event, vim.tbl_extend('error', opts, where))
  end
  on('WinClosed', { pattern = tostring(base_win) }, function()
    if #vim.fn.win_findbuf(open.buf) <= 1 then
      M.finish(open)
    end
  end)
  on('BufWipeout', { buffer = open.buf }, function()
    M.finish(open)
  end)
  -- Neovim is in the middle of closing these, and takes no other change of windows (E855).
  local function close_soon()
    require('agentdiff.gate').soon(function()
      M.close(open)
    end)
  end
  on('WinClosed', { pattern = tostring(open.file_win) }, close_soon)
  on({ 'BufDelete', 'BufWipeout' }, { buffer = open.file_buf }, close_soon)
  -- Not |BufWinLeave|: there is none while a window of another tab page shows the file.
  on({ 'BufEnter', 'BufWinEnter' }, {}, function()
    if M.is_left(open) then
      require('agentdiff.gate').soon(function()
        -- A plugin may show something else there for a moment only.
        if M.is_left(open) then
          M.close(open)
        end
      end)
    end
  end)
end

return M
