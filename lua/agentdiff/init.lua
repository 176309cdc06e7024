--- Public surface. Everything is required lazily: loading this module loads nothing else.
local M = {}

--- Overrides options; calling it is optional. See |agentdiff-config|.
---@param opts table?
function M.setup(opts)
  for _, problem in ipairs(require('agentdiff.config').set(opts)) do
    M.notify('config: ' .. problem, vim.log.levels.WARN)
  end
end

--- Returns the statusline text of the current buffer, or else of the workspace. Reads variables
--- only.
---@return string
function M.statusline()
  local of_buffer = vim.b.agentdiff_status
  -- Of a file in which nothing pends it is an empty text.
  return of_buffer and of_buffer ~= '' and of_buffer or vim.g.agentdiff_status or ''
end

--- Returns `3/12` when the cursor is in the third of twelve hunks, `12` outside of them, else ''.
--- Reads what is drawn only.
---@return string
function M.position()
  local line = vim.api.nvim_win_get_cursor(0)[1]
  local buf = vim.api.nvim_get_current_buf()
  local _, index, total = require('agentdiff.inline').at(buf, line)
  return total == 0 and '' or index and ('%d/%d'):format(index, total) or tostring(total)
end

--- Returns the counts of the current buffer as lualine's `diff` component takes them.
---@return {added: integer, modified: integer, removed: integer}?
function M.diff_source()
  local dict = vim.b.agentdiff_status_dict
  return dict and { added = dict.added, modified = dict.changed, removed = dict.removed }
end

---@class agentdiff.PublicHunk
---@field id integer
---@field first integer 1-based line of the buffer
---@field last integer inclusive
---@field added integer number of lines; 0 for a deletion, which stands at `first`
---@field removed string[] the old lines
---@field owner string

--- Returns the pending hunks of a buffer where they are now.
---@param buf integer? the current one
---@return agentdiff.PublicHunk[]
function M.hunks(buf)
  return vim.tbl_map(function(place)
    local hunk = place.hunk
    return {
      id = hunk.id,
      first = place.first,
      last = place.last,
      added = hunk.added,
      removed = hunk.deleted,
      owner = hunk.owner,
    }
  end, require('agentdiff.inline').positions(buf or vim.api.nvim_get_current_buf()))
end

--- Returns a source for mini.diff that shows the same baseline: `source = { …, … }`.
---@return table
function M.mini_source()
  return require('agentdiff.mini').source()
end

--- Opens the review buffer of the workspace of the working directory.
---@param filters table<string, string>? `agent`, `session`, `turn`, `call`, `path`
function M.review(filters)
  require('agentdiff.review').open(filters)
end

--- Runs an action by the name of its <Plug> mapping, such as `accept-hunk`.
---@param action string
function M.action(action)
  require('agentdiff.actions').run(action)
end

--- Shows a message of the plugin.
---@param message string
---@param level integer?
function M.notify(message, level)
  vim.notify('agentdiff: ' .. message, level or vim.log.levels.INFO)
end

--- Says what nobody asked for. Where Neovim shows messages itself, one that does not fit its line
--- would stop the user's typing by |hit-enter|: it is cut.
---@param message string
---@param level integer
function M.notice(message, level)
  -- Whoever has replaced it has room of another kind. Neovim's own is part of the program: 0.12
  -- does not say from which file.
  local notify = vim.notify --[[@as any]] -- a plugin's may be a table that can be called
  local source = type(notify) == 'function' and debug.getinfo(notify, 'S').source or ''
  if source:find('^@vim/') or source:find('^=?%?$') then
    local room = vim.v.echospace - #'agentdiff: '
    if vim.api.nvim_strwidth(message) > room then
      message = vim.fn.strcharpart(message, 0, math.max(0, room - 1)) .. '…'
    end
    -- Below another message of the same moment it would not fit either.
    vim.cmd.redraw()
  end
  M.notify(message, level)
end

return M
