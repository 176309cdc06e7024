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

---@class agentdiff.Comparison
---@field buf integer of the base
---@field file_buf integer
---@field file_win integer the window of the file that the base stands beside
---@field saved table<string, any> options of that window
---@field view table its |winsaveview()|
---@field group integer? of autocommands
---@field forget fun() called when it ends
---@field after fun()? called when it has ended and windows may be changed
---@field ended boolean?
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

---@param win integer
---@param saved table<string, any>
local function restore(win, saved)
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

--- Gives the window of a file back what the vimdiff changed.
---@param open agentdiff.Comparison
local function give_back_window(open)
  restore(open.file_win, open.saved)
  local line = api.nvim_win_get_cursor(open.file_win)[1]
  api.nvim_win_call(open.file_win, function()
    vim.fn.winrestview({ topline = math.max(1, open.view.topline + line - open.view.lnum) })
  end)
end

---@param open agentdiff.Comparison
local function give_back(open)
  if not api.nvim_win_is_valid(open.file_win) then
    return
  elseif api.nvim_win_get_buf(open.file_win) == open.file_buf then
    give_back_window(open)
    return
  end
  -- It shows something else, which is not touched. Neovim keeps the options of the file for it.
  api.nvim_create_autocmd('BufWinEnter', {
    group = group,
    buffer = open.file_buf,
    callback = function()
      if api.nvim_get_current_win() == open.file_win then
        give_back_window(open)
      end
      return api.nvim_get_current_win() == open.file_win
    end,
  })
end

--- Ends a comparison whose base is about to be gone, or is.
---@param open agentdiff.Comparison
function M.finish(open)
  if open.ended then
    return
  end
  open.ended = true
  open.forget()
  api.nvim_del_augroup_by_id(open.group --[[@as integer]])
  give_back(open)
  require('agentdiff.inline').hide(open.file_buf, false)
  if open.after then
    vim.schedule(open.after)
  end
end

--- Removes a base, wherever it is shown. A window that has nothing else to show gets another
--- buffer. In the command-line window that is not allowed, and a handler of the user's may fail.
---@param open agentdiff.Comparison
function M.close(open)
  if open.ended then
    return
  end
  local ok, problem = pcall(api.nvim_buf_delete, open.buf, { force = true })
  if not ok then
    require('agentdiff.windows').warn(problem, 'baseline')
  end
  if not api.nvim_buf_is_valid(open.buf) then
    M.finish(open)
  end
end

--- Ends a comparison when the base goes, and removes the base when the file goes.
---@param open agentdiff.Comparison
---@param base_win integer
function M.watch(open, base_win)
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
    vim.schedule(function()
      M.close(open)
    end)
  end
  on('WinClosed', { pattern = tostring(open.file_win) }, close_soon)
  on({ 'BufDelete', 'BufWipeout' }, { buffer = open.file_buf }, close_soon)
end

return M
