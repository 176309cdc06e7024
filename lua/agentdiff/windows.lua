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

--- Splits the current window. Where that fails (no room, the command-line window, a handler of the
--- user's) it is said.
---@param command string
---@return boolean done whether there is a new window; it may change its buffer
function M.split(command)
  local before = api.nvim_get_current_win()
  local ok, problem = pcall(vim.cmd --[[@as function]], command)
  if not ok then
    M.warn(problem)
  end
  local done = api.nvim_get_current_win() ~= before
  if done then
    vim.wo[0][0].winfixbuf = false -- that of the window that was split
  end
  return done
end

--- Makes the current window one whose buffer may be changed: a split of it when |'winfixbuf'| keeps
--- its own.
---@return boolean done
function M.free()
  return not vim.wo.winfixbuf or M.split('split')
end

--- Returns the current window, or while that floats another of its tab page: a floating window
--- cannot be split (0.10).
---@return integer win
function M.ground()
  for _, win in ipairs({ api.nvim_get_current_win(), unpack(api.nvim_tabpage_list_wins(0)) }) do
    if api.nvim_win_get_config(win).relative == '' then
      return win
    end
  end
  error('a tab page without windows') -- there is always one that does not float
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

return M
