--- The float beside the cursor: what is known of a hunk, what it was before, the list of keys. It
--- closes when the user moves away from what it is about, and stays when that is drawn anew.
--- Must not know what it shows.
local M = {}

local api = vim.api

---@type {win: integer, origin: integer, buf: integer, cursor: integer[]}? the last one
local float

---@return boolean
local function is_open()
  return float ~= nil and api.nvim_win_is_valid(float.win)
end

--- Closes it; returns whether it was open.
---@return boolean
function M.close()
  local open = is_open()
  if open then
    api.nvim_win_close(float.win, true)
  end
  float = nil
  return open
end

-- Not 'CursorMoved' as such, which comes late for what moved the cursor before, and also when an
-- update puts it back on its line: `q` meant for the float would close the review.
local function close_when_moved(win)
  local group = api.nvim_create_augroup('agentdiff.float', {})
  api.nvim_create_autocmd({ 'CursorMoved', 'CursorMovedI' }, {
    group = group,
    buffer = float.buf,
    callback = function()
      if not float or float.win ~= win or not is_open() then
        return true
      end
      local here, at = api.nvim_get_current_win(), api.nvim_win_get_cursor(0)
      if here ~= float.origin or not vim.deep_equal(at, float.cursor) then
        M.close()
        return true
      end
    end,
  })
end

-- Out of the float to a third window, Neovim 0.12 leaves it open.
local function close_when_left(win)
  api.nvim_create_autocmd('WinEnter', {
    group = 'agentdiff.float',
    callback = function()
      if not float or float.win ~= win or not is_open() then
        return true
      end
      if not vim.list_contains({ float.origin, win }, api.nvim_get_current_win()) then
        M.close()
        return true
      end
    end,
  })
end

--- Shows lines beside the cursor of the current window; a second time, goes into them.
---@param lines string[]
---@param syntax string
---@param opts table of |vim.lsp.util.open_floating_preview()|
function M.show(lines, syntax, opts)
  local origin, buf = api.nvim_get_current_win(), api.nvim_get_current_buf()
  opts.close_events = { 'InsertCharPre' }
  local _, win = vim.lsp.util.open_floating_preview(lines, syntax, opts)
  if api.nvim_get_current_win() == origin then
    float = { win = win, origin = origin, buf = buf, cursor = api.nvim_win_get_cursor(origin) }
    close_when_moved(win)
    close_when_left(win)
  end
end

--- Called when the text of a window was drawn anew and its cursor was put back.
---@param origin integer window
---@param same boolean the cursor is on what it was on
function M.drawn(origin, same)
  if float and float.origin == origin then
    if same then
      float.cursor = api.nvim_win_get_cursor(origin)
    else
      M.close()
    end
  end
end

return M
