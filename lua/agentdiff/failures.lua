--- Errors of our own: one that is met is told and kept, and keeps nothing else from being shown.
--- Must not know what was tried.
local M = {}

local MAX_KEPT = 20
local known = {} ---@type table<string, boolean> by first line
local kept = {} ---@type string[] with their tracebacks, oldest first

---@param trace string
local function tell(trace)
  local first = trace:match('^[^\n]*')
  if known[first] then
    return
  end
  known[first] = true
  if #kept < MAX_KEPT then
    kept[#kept + 1] = trace
  end
  -- For |:messages|. Each line fits and is drawn over: nobody has to press a key because of it.
  for line in trace:gsub('\t', '  '):gmatch('[^\n]+') do
    vim.api.nvim_echo({ { line:sub(1, vim.v.echospace), 'ErrorMsg' } }, true, {})
    vim.cmd.redraw()
  end
  -- Without its folder it fits into a line.
  local short = first:gsub('^%S*/', '')
  require('agentdiff').notify('internal error: ' .. short, vim.log.levels.ERROR)
  -- What was shown before may be half of something; the same error does not ask again.
  require('agentdiff.rpc').send('refresh', { full = true })
end

---@param problem any
---@return string
local function traced(problem)
  return debug.traceback(tostring(problem), 2)
end

--- Calls a function; what it raises is told once.
---@generic T
---@param call fun(...): T?
---@param ... any its arguments
---@return boolean ok
---@return T? result
function M.step(call, ...)
  local ok, result = xpcall(call, traced, ...)
  if not ok then
    tell(result --[[@as string]])
    return false
  end
  return true, result
end

--- Returns what was met since the start of Neovim: messages with their tracebacks.
---@return string[]
function M.list()
  return kept
end

return M
