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
  return vim.b.agentdiff_status or vim.g.agentdiff_status or ''
end

--- Opens the review buffer of the workspace of the working directory.
---@param filters table<string, string>? `agent`, `session`, `turn`, `path`
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

return M
