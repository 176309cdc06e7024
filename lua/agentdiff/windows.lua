--- Windows that may show something else. Must not know what is shown.
local M = {}

local api = vim.api

--- Makes the current window one whose buffer may be changed: a split of it when |'winfixbuf'| keeps
--- its own. Raises what |:split| raises (no room, the command-line window).
function M.free()
  if vim.wo.winfixbuf then
    vim.cmd.split()
    vim.wo[0][0].winfixbuf = false
  end
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
