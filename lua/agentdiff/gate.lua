--- When text may be changed. Neovim locks it while the expression of a mapping is evaluated (E565),
--- and one that waits for a key (`getcharstr()`) lets our messages in meanwhile: what they change
--- waits here, in order. Must not know what that is.
local M = {}

local api = vim.api
local RETRY_MS = 20
local waiting = {} ---@type fun()[]
local retrying = false

--- Whether text is locked. Neovim does not tell; but it looks at the lock first when it is asked to
--- change a buffer, here one that cannot be.
---@return boolean
local function is_locked()
  local _, problem = pcall(api.nvim_buf_set_lines, -1, 0, 0, false, {})
  return tostring(problem):find('E565', 1, true) ~= nil
end

local function go_on()
  retrying = false
  -- One that waits itself lets others in: they go on with the next one, not beside it.
  while #waiting > 0 and not is_locked() do
    require('agentdiff.failures').step(table.remove(waiting, 1))
  end
  if #waiting > 0 and not retrying then
    retrying = true
    vim.defer_fn(go_on, RETRY_MS)
  end
end

--- Calls a function that changes text: at once when that is allowed, else as soon as it is, and
--- after those that wait already.
---@param change fun()
function M.enter(change)
  waiting[#waiting + 1] = change
  go_on()
end

--- The same, after the event or command that is under way.
---@param change fun()
function M.soon(change)
  vim.schedule(function()
    M.enter(change)
  end)
end

return M
