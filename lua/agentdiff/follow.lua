--- Follow mode: a window that shows where an agent is writing now. The cursor of the user and the
--- focus stay where they are.
local M = {}

local api = vim.api
local window ---@type integer?
local shown ---@type string? name of the buffer to be positioned
local own = '' -- the user's winbar of what the window shows
local unbound ---@type integer? the buffer for which the window was freed last
local BAR = '%#AgentDiffOwner# following agents %*'

--- Whether a window follows.
---@return boolean
function M.active()
  return window ~= nil and api.nvim_win_is_valid(window)
end

---@param win integer
---@return string
local function local_bar(win)
  return api.nvim_get_option_value('winbar', { scope = 'local', win = win })
end

--- Names the window. Its options are those of the buffer it shows: for another one, again.
local function label()
  local bar = local_bar(window)
  if bar ~= BAR then
    own = bar
  end
  -- A window of one row has no room for it.
  if api.nvim_win_get_height(window) > 2 or vim.wo[window].winbar ~= '' then
    vim.wo[window][0].winbar = BAR
  end
end

--- Takes the name away from what a window shows. Neovim would give it to the next window that shows
--- that buffer, and to every one that does at the same time.
---@param win integer
local function unlabel(win)
  if local_bar(win) == BAR then
    local same = M.active() and api.nvim_win_get_buf(window) == api.nvim_win_get_buf(win)
    vim.wo[win][0].winbar = same and own or ''
  end
end

--- Frees the window from those that are compared or move together. A split inherits that from its
--- window, and one that comes to show a buffer from the last that did: the cursors of the user
--- would go wherever this one is put.
local function unbind()
  unbound = api.nvim_win_get_buf(window)
  api.nvim_win_call(window, function()
    -- It gives back the folds and the wrapping from before the comparison, too.
    if vim.wo.diff then
      vim.cmd.diffoff()
    end
    vim.wo[0][0].scrollbind, vim.wo[0][0].cursorbind = false, false
  end)
end

local function watch_windows()
  local group = api.nvim_create_augroup('agentdiff.follow', {})
  api.nvim_create_autocmd({ 'BufWinEnter', 'BufEnter', 'WinEnter' }, {
    group = group,
    callback = function(args)
      local win = api.nvim_get_current_win()
      if win == window then
        label()
        -- Not whenever the user comes back to it, or reads it anew: they may have begun a
        -- comparison here.
        if args.event == 'BufWinEnter' and args.buf ~= unbound then
          unbind()
        end
      else
        unlabel(win)
      end
    end,
  })
  api.nvim_create_autocmd('WinClosed', {
    group = group,
    pattern = tostring(window),
    callback = function()
      if M.active() then
        unlabel(window)
      end
    end,
  })
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
  vim.wo[window][0].winfixbuf = false
  unbind()
  label()
  watch_windows()
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
    unlabel(window)
    -- The last window stays, as any other.
    pcall(api.nvim_win_close, window, false)
    window = nil
  end
  return on
end

--- Lets a buffer that the user begins to edit have a swap file.
---@param buf integer
local function protect(buf)
  local flags = vim.o.shortmess
  -- No page about another swap file in the middle of typing: one line.
  vim.o.shortmess = flags .. 'A'
  vim.bo[buf].swapfile = vim.go.swapfile
  vim.o.shortmess = flags
  local name = vim.fn.swapname(buf)
  if name ~= '' and not vim.endswith(name, '.swp') then
    local file = vim.fn.fnamemodify(api.nvim_buf_get_name(buf), ':t')
    local text = '%s has another swap file: it is edited elsewhere, or was (see |swap-file|)'
    require('agentdiff').notice(text:format(file), vim.log.levels.WARN)
  end
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
    api.nvim_create_autocmd('BufModifiedSet', {
      buffer = buf,
      callback = function()
        local edited = vim.bo[buf].modified
        if edited then
          protect(buf)
        end
        return edited
      end,
    })
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
    unlabel(window)
    api.nvim_win_set_buf(window, buf)
    unbind()
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
