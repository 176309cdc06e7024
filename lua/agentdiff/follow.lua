--- Follow mode: a window that shows where an agent is writing now. The cursor of the user and the
--- focus stay where they are.
local M = {}

local api = vim.api
local window ---@type integer?
local shown ---@type string? name of the buffer to be positioned

--- Whether a window follows.
---@return boolean
function M.active()
  return window ~= nil and api.nvim_win_is_valid(window)
end

--- Names the window. Its options are those of the buffer it shows: for another one, again.
local function label()
  -- A window of one row has no room for it.
  if api.nvim_win_get_height(window) > 2 or vim.wo[window].winbar ~= '' then
    vim.wo[window][0].winbar = '%#AgentDiffOwner# following agents %*'
  end
end

---@return boolean
local function open()
  local notify, warn = require('agentdiff').notify, vim.log.levels.WARN
  if #api.nvim_list_uis() > 0 and vim.o.columns < 40 then
    notify('follow: the screen is too narrow', warn)
    return false
  end
  local beside = require('agentdiff.windows').ground()
  -- No room, or the command-line window.
  local ok, opened = pcall(api.nvim_open_win, api.nvim_win_get_buf(beside), false, {
    split = vim.o.columns >= 120 and 'right' or 'below',
    win = beside,
  })
  if not ok then
    notify('follow: ' .. opened:gsub('^Vim:', ''), warn)
    return false
  end
  window = opened
  vim.wo[window].winfixbuf = false
  label()
  return true
end

--- Switches follow mode.
---@param on boolean? switches over when nil
---@return boolean active
function M.toggle(on)
  if on == nil then
    on = not M.active()
  end
  if on and not M.active() then
    require('agentdiff.buffers').enable()
    return open()
  elseif not on and M.active() then
    pcall(api.nvim_win_close, window, false)
    window = nil
  end
  return on
end

---@param path string
---@return integer? buf
local function load(path)
  local stat = vim.uv.fs_stat(path)
  if not stat or stat.type ~= 'file' then
    return nil
  end
  local buf = vim.fn.bufadd(path)
  if not api.nvim_buf_is_loaded(buf) then
    -- Nobody asked for this file: no question about a swap file.
    vim.bo[buf].swapfile = false
    -- A handler of the user's may fail, or the file be gone: everything else is drawn all the same.
    if not pcall(vim.fn.bufload, buf) then
      return nil
    end
    vim.bo[buf].buflisted = true
  end
  return buf
end

--- Shows the newest of the files that were written, if the window may show another buffer now.
---@param workspace string
---@param paths string[] relative, oldest first
function M.wrote(workspace, paths)
  if #paths == 0 or not M.active() or window == api.nvim_get_current_win() then
    return
  elseif vim.fn.getcmdwintype() ~= '' then
    return
  end
  local buf = load(workspace .. '/' .. paths[#paths])
  local other = buf and api.nvim_win_get_buf(window) ~= buf
  if other and not require('agentdiff.windows').can_change(window) then
    return
  end
  shown = buf and api.nvim_buf_get_name(buf)
  if other then
    api.nvim_win_set_buf(window, buf)
    label()
  end
end

--- Puts the follow window on the newest hunk, once the hunks of its file are known.
---@param buf integer
function M.drawn(buf)
  if not shown or not M.active() or api.nvim_win_get_buf(window) ~= buf then
    return
  elseif shown ~= api.nvim_buf_get_name(buf) or window == api.nvim_get_current_win() then
    return
  end
  local newest
  for _, place in ipairs(require('agentdiff.inline').positions(buf)) do
    if not newest or place.hunk.id > newest.hunk.id then
      newest = place
    end
  end
  if newest then
    shown = nil
    api.nvim_win_set_cursor(window, { math.min(newest.first, api.nvim_buf_line_count(buf)), 0 })
    api.nvim_win_call(window, function()
      vim.cmd('normal! zvzz')
    end)
  end
end

return M
