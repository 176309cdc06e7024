--- When text may be changed. Neovim locks it while the expression of a mapping is evaluated (E565),
--- and one that waits for a key (`getcharstr()`) lets our messages in meanwhile: what they change
--- waits here, in order. Must not know what that is.
local M = {}

local api = vim.api
local RETRY_MS = 20
local waiting = {} ---@type fun()[]
local retrying = false
local probe ---@type integer?

--- Whether text is locked. Neovim does not tell: only a change shows it, here one of nothing.
---@return boolean
local function is_locked()
  if not probe or not api.nvim_buf_is_loaded(probe) then
    probe = api.nvim_create_buf(false, true)
    vim.bo[probe].undolevels = -1
  end
  return not pcall(api.nvim_buf_set_lines, probe, 0, 0, false, {})
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

return M
