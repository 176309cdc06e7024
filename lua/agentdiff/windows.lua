--- Windows that may show something else. Must not know what is shown.
local M = {}

local api = vim.api

--- Says why windows could not be changed.
---@param problem any what was raised
---@param what string? who wanted it
function M.warn(problem, what)
  local why = tostring(problem):match('E%d+:[^\n]*') or tostring(problem)
  require('agentdiff').notify((what and what .. ': ' or '') .. why, vim.log.levels.WARN)
end

--- Runs a command that opens something. Where it fails (no room, the command-line window, a handler
--- of the user's, the answer to a question about a swap file) it is said.
---@param command string|table as |vim.cmd()| takes it
---@param what string? who wanted it
---@return boolean ok
function M.try(command, what)
  local ok, problem = pcall(vim.cmd --[[@as function]], command)
  if not ok then
    M.warn(problem, what)
  end
  return ok
end

--- Splits the current window, or says why not.
---@param command string
---@return boolean done whether there is a new window; it may change its buffer
function M.split(command)
  local before = api.nvim_get_current_win()
  M.try(command)
  local done = api.nvim_get_current_win() ~= before
  if done then
    vim.wo[0][0].winfixbuf = false -- that of the window that was split
  end
  return done
end

--- Whether a window can show another buffer now, without a question or an error.
---@param win integer
---@return boolean
function M.can_change(win)
  if vim.fn.getcmdwintype() ~= '' or vim.wo[win].winfixbuf then
    return false
  end
  local buf = api.nvim_win_get_buf(win)
  local hides = vim.bo[buf].bufhidden
  local kept = hides == 'hide' or hides == '' and vim.o.hidden
  return not vim.bo[buf].modified or kept or #vim.fn.win_findbuf(buf) > 1
end

--- Makes the current window one whose buffer may be changed: a split of it when |'winfixbuf'|, or
--- unsaved changes with 'nohidden', keep its own.
---@return boolean done
function M.free()
  return M.can_change(0) or M.split('split')
end

--- Opens a file; for `edit` in the current window where that may change its buffer, else in a split
--- of it.
---@param path string absolute
---@param how 'edit'|'split'|'tabedit'
---@return boolean done
function M.open(path, how)
  if how == 'edit' then
    -- |:edit| would read it anew, and with unsaved changes fail.
    if vim.fn.bufexists(path) == 1 and vim.fn.bufadd(path) == api.nvim_get_current_buf() then
      return true
    elseif not M.free() then
      return false
    end
  end
  return M.try({ cmd = how, args = { vim.fn.fnameescape(path) } })
end

--- Returns the windows of a tab page that do not float.
---@param tab integer 0 for the current one
---@return integer[]
function M.grounded(tab)
  return vim.tbl_filter(function(win)
    return api.nvim_win_get_config(win).relative == ''
  end, api.nvim_tabpage_list_wins(tab))
end

--- Returns the current window, or while that floats another of its tab page: a floating window
--- cannot be split (0.10).
---@return integer win
function M.ground()
  local wins, current = M.grounded(0), api.nvim_get_current_win()
  return vim.tbl_contains(wins, current) and current or wins[1] -- there always is one
end

--- Whether one of some windows compares its buffer with others.
---@param wins integer[]
---@return boolean
function M.any_diffed(wins)
  for _, win in ipairs(wins) do
    if vim.wo[win].diff then
      return true
    end
  end
  return false
end

return M
